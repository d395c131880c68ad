"""Voice activity detection: which 10 ms frames of an utterance are speech.

`registry` has the detectors by name (`VADS`, `make_vad`), `base` what they share
(`VoiceActivityDetector`, `runs`, `num_frames`), `segments` writes the decisions; `energy`,
`librosa_split`, `silero` and `webrtc` are the detectors.
"""
