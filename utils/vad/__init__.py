"""Voice activity detection: which 10 ms frames of an utterance are speech.

`registry` has the detectors by name (`VADS`, `make_vad`), `base` what they share
(`VoiceActivityDetector`, `runs`, `num_frames`), `segments` writes the decisions as segments;
`energy` (`EnergyVad`), `librosa_split` (`LibrosaTrimVad`, `LibrosaSplitVad`), `resemblyzer`
(`ResemblyzerVad`), `silero` (`SileroVad`) and `webrtc` (`WebrtcVad`) are the detectors.
"""
