"""Data directories for tests: good ones, and one for every rule, which breaks it."""

from pathlib import Path

GOOD = {
    "wav.scp": "a-1 x/a-1.wav\na-2 x/a-2.flac\nb-1 x.ark:12\nc-1 /y/c-1.ogg\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\nc-1 c\n",
    "spk2utt": "a a-1 a-2\nb b-1\nc c-1\n",
    "utt2dur": "a-1 1.5\na-2 2\nb-1 3e0\nc-1 .5\n",
    "utt2condition": "a-1 near\na-2 far\nb-1 near\nc-1 far\n",
    "spk2gender": "a m\nb f\nc f\n",
    "vad.scp": "a-1 v.ark:4\nb-1 v.ark:99\n",
    "text": "a-1 WE CALL IT\na-2 BÄR\nb-1 x\nc-1 x  y\n",
    "enroll.spk2utt": "m1 a-1 a-2\n",
    "trials": "m1 b-1 nontarget\na a-1 target\nb-1 c-1 nontarget\n",
}
SEGMENTED = {
    "wav.scp": "r1 r1.wav\nr2 r2.wav\n",
    "segments": "a-1 r1 0 1.5\na-2 r1 1.5 2\nb-1 r2 0.25 3\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
    "spk2utt": "a a-1 a-2\nb b-1\n",
    "reco2dur": "r1 2.0\nr2 3.0\n",
}
FEATURES = {
    "feats.scp": "a-1 f.ark:4\na-2 f.ark:90[3:8]\nb-1 f.ark:99\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
    "spk2utt": "a a-1 a-2\nb b-1\n",
}


def write_lists(
    folder: Path, lists: dict[str, str | bytes | None], **changes: str | bytes | None
) -> Path:
    """Write lists, some of them changed (``wav_scp`` stands for wav.scp; None: not there)."""
    folder.mkdir(parents=True, exist_ok=True)
    dotted = {
        "wav_scp": "wav.scp",
        "vad_scp": "vad.scp",
        "feats_scp": "feats.scp",
        "cmvn_scp": "cmvn.scp",
        "enroll_spk2utt": "enroll.spk2utt",
    }
    for file, content in (
        lists | {dotted.get(file, file): content for file, content in changes.items()}
    ).items():
        if content is not None:
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones apart."""
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".")
    }


BREAKS = [
    ("no_wav_scp", {"wav_scp": None}, "wav.scp: no such file"),
    ("no_utt2spk", {"utt2spk": None}, "utt2spk: no such file"),
    ("no_spk2utt", {"spk2utt": None}, "spk2utt: no such file"),
    ("empty_list", {"utt2dur": ""}, "utt2dur: empty, expected lines '<id> <value>'"),
    ("crlf", {"utt2spk": "a-1 a\na-2 a\r\nb-1 b\nc-1 c\n"}, "utt2spk:2: CR LF"),
    ("no_last_line_end", {"utt2spk": "a-1 a\na-2 a\nb-1 b\nc-1 c"}, "utt2spk:4: no line end"),
    ("empty_line", {"utt2spk": "a-1 a\n\na-2 a\nb-1 b\nc-1 c\n"}, "utt2spk:2: empty line"),
    (
        "blank_at_start",
        {"text": " a-1 x\na-2 x\nb-1 x\nc-1 x\n"},
        "text:1: blank at the start of ' a-1 x'",
    ),
    (
        "byte_order_mark",
        {"utt2spk": "\ufeffa-1 a\na-2 a\nb-1 b\nc-1 c\n"},
        (
            "utt2spk:1: begins with a byte order mark, expected the id first; `python -m "
            "utils.data_dir fix "
        ),
    ),
    (
        "byte_order_mark_of_a_list_that_was_appended",
        {"text": "a-1 x\na-2 x\n\ufeffb-1 x\nc-1 x\n"},
        "text:3: begins with a byte order mark",
    ),
    (
        "byte_order_mark_of_utf16",
        {"text": "a-1 x\na-2 x\nb-1 x\nc-1 x\n".encode("utf-16")},
        "text:1: begins with the byte order mark of UTF-16, expected UTF-8; convert the file",
    ),
    ("not_utf8", {"text": b"a-1 x\na-2 B\xc4R\nb-1 x\nc-1 x\n"}, "text:2: byte 0xc4"),
    (
        "control_character",
        {"text": "a-1 x\x07y\na-2 x\nb-1 x\nc-1 x\n"},
        "text:1: control character '\\x07'",
    ),
    (
        "blank_in_id",
        {"utt2spk": "a-1 a\na 2 a\nb-1 b\nc-1 c\n"},
        "utt2spk:2: 3 fields 'a 2 a', expected 2: <utterance> <speaker>",
    ),
    (
        "utterance_not_ascii",
        {"utt2spk": "a-1 a\na-ä a\nb-1 b\nc-1 c\n"},
        "utt2spk:2: id 'a-ä' has characters other than printable ASCII",
    ),
    ("speaker_not_ascii", {"utt2spk": "a-1 ä\na-2 a\nb-1 b\nc-1 c\n"}, "utt2spk:1: id 'ä'"),
    (
        "too_few_fields",
        {"utt2spk": "a-1 a\na-2\nb-1 b\nc-1 c\n"},
        "utt2spk:2: 1 fields 'a-2', expected 2",
    ),
    (
        "no_words",
        {"text": "a-1 x\na-2\nb-1 x\nc-1 x\n"},
        "text:2: 1 fields 'a-2', expected <utterance> <words>",
    ),
    (
        "map_of_three_fields",
        {"utt2condition": "a-1 n\na-2 far off\nb-1 n\nc-1 n\n"},
        "utt2condition:2: 3 fields",
    ),
    (
        "unsorted",
        {"utt2spk": "a-2 a\na-1 a\nb-1 b\nc-1 c\n"},
        "utt2spk:2: 'a-1' after 'a-2', expected byte order",
    ),
    (
        "sorted_by_locale",
        {"utt2dur": "a-1 1\na-2 1\nc-1 1\nb-1 1\n"},
        "utt2dur:4: 'b-1' after 'c-1'",
    ),
    (
        "same_line_twice",
        {"utt2spk": "a-1 a\na-2 a\na-2 a\nb-1 b\nc-1 c\n"},
        "utt2spk:3: 'a-2' again, expected one line per id (the first is line 2)",
    ),
    (
        "twice_and_apart",
        {"wav_scp": "a-1 x\na-2 x\nb-1 x\nc-1 x\na-1 y\n"},
        "wav.scp:5: 'a-1' again",
    ),
    (
        "pipe",
        {"wav_scp": "a-1 x\na-2 sox x.sph -t wav - |\nb-1 x\nc-1 x\n"},
        "wav.scp:2: pipe 'sox x.sph -t wav - |'",
    ),
    (
        "home_of_a_shell",
        {"wav_scp": "a-1 x\na-2 ~/x.wav\nb-1 x\nc-1 x\n"},
        "wav.scp:2: '~/x.wav', expected a path that can be opened without a shell",
    ),
    (
        "utterance_not_in_wav_scp",
        {"wav_scp": "a-1 x\nb-1 x\nc-1 x\n"},
        "utt2spk:2: utterance 'a-2' is not in wav.scp",
    ),
    (
        "utterance_not_in_utt2spk",
        {"wav_scp": "a-1 x\na-2 x\nb-1 x\nb-2 x\nc-1 x\n"},
        "wav.scp:4: utterance 'b-2' is not in utt2spk",
    ),
    (
        "utt2dur_lacks_one",
        {"utt2dur": "a-1 1\na-2 1\nc-1 1\n"},
        "utt2spk:3: utterance 'b-1' is not in utt2dur",
    ),
    (
        "any_map_lacks_one",
        {"utt2condition": "a-1 n\n"},
        "utt2spk:2: utterance 'a-2' is not in utt2condition",
    ),
    (
        "text_of_unknown",
        {"text": "a-1 x\na-2 x\nb-1 x\nc-1 x\nd-1 x\n"},
        "text:5: utterance 'd-1' is not in utt2spk",
    ),
    (
        "vad_of_unknown",
        {"vad_scp": "a-1 v.ark:1\na-3 v.ark:9\n"},
        "vad.scp:2: utterance 'a-3' is not in utt2spk",
    ),
    (
        "feats_of_unknown",
        {"feats_scp": "a-3 v.ark:9\n"},
        "feats.scp:1: utterance 'a-3' is not in utt2spk",
    ),
    (
        "speaker_without_gender",
        {"spk2gender": "a m\nc f\n"},
        "utt2spk:3: speaker 'b' is not in spk2gender",
    ),
    (
        "gender_of_unknown",
        {"spk2gender": "a m\nb m\nc f\nd f\n"},
        "spk2gender:4: speaker 'd' is not in utt2spk",
    ),
    ("any_speaker_map", {"spk2age": "a 30\nb 30\n"}, "utt2spk:4: speaker 'c' is not in spk2age"),
    (
        "cmvn_of_unknown",
        {"cmvn_scp": "a c.ark:1\nb c.ark:2\nc c.ark:3\nd c.ark:4\n"},
        "cmvn.scp:4: speaker 'd' is not in utt2spk",
    ),
    ("gender", {"spk2gender": "a m\nb F\nc f\n"}, "spk2gender:2: 'F', expected m or f"),
    (
        "duration_zero",
        {"utt2dur": "a-1 1\na-2 0\nb-1 1\nc-1 1\n"},
        "utt2dur:2: '0' seconds, expected a positive number",
    ),
    ("duration_negative", {"utt2dur": "a-1 1\na-2 -1\nb-1 1\nc-1 1\n"}, "utt2dur:2: '-1' seconds"),
    ("duration_nan", {"utt2dur": "a-1 1\na-2 nan\nb-1 1\nc-1 1\n"}, "utt2dur:2: 'nan' seconds"),
    (
        "duration_infinite",
        {"utt2dur": "a-1 1\na-2 inf\nb-1 1\nc-1 1\n"},
        "utt2dur:2: 'inf' seconds",
    ),
    (
        "duration_of_python",
        {"utt2dur": "a-1 1\na-2 1_0\nb-1 1\nc-1 1\n"},
        "utt2dur:2: '1_0' seconds",
    ),
    (
        "duration_a_word",
        {"utt2dur": "a-1 1\na-2 long\nb-1 1\nc-1 1\n"},
        "utt2dur:2: 'long' seconds",
    ),
    (
        "frames_broken",
        {"utt2num_frames": "a-1 1\na-2 1.5\nb-1 1\nc-1 1\n"},
        "utt2num_frames:2: '1.5' frames",
    ),
    (
        "speaker_order",
        {"utt2spk": "a-1 c\na-2 a\nb-1 b\nc-1 c\n"},
        "utt2spk:2: speaker 'a' after 'c', expected speakers in byte order too",
    ),
    (
        "spk2utt_other_speaker",
        {"spk2utt": "a a-1 a-2\nb b-1 c-1\nc c-1\n"},
        "spk2utt:2: utterances of speaker 'b' are not those of utt2spk ('c-1'",
    ),
    (
        "spk2utt_other_order",
        {"spk2utt": "a a-2 a-1\nb b-1\nc c-1\n"},
        "spk2utt:1: utterances of speaker 'a' are not those of utt2spk (the order",
    ),
    (
        "spk2utt_lacks_speaker",
        {"spk2utt": "a a-1 a-2\nb b-1\n"},
        "utt2spk:4: speaker 'c' is not in spk2utt",
    ),
    (
        "spk2utt_unknown_speaker",
        {"spk2utt": "a a-1 a-2\nb b-1\nc c-1\nd d-1\n"},
        "spk2utt:4: speaker 'd' is not in utt2spk",
    ),
    (
        "model_of_unknown",
        {"enroll_spk2utt": "m1 a-1\nm2 a-3\n", "trials": None},
        "enroll.spk2utt:2: utterance 'a-3' is not in utt2spk",
    ),
    (
        "trial_of_two_fields",
        {"trials": "a a-1 target\nb c-1\n"},
        "trials:2: 2 fields 'b c-1', expected 3: <enrol> <test> target|nontarget",
    ),
    (
        "trial_class",
        {"trials": "a a-1 target\nb c-1 impostor\n"},
        "trials:2: class 'impostor', expected target or nontarget",
    ),
    (
        "trial_of_two_fields_first",
        {"trials": "b-1 c-1\na a-1 target\n"},
        "trials:2: 3 fields 'a a-1 target', expected 2: <enrol> <test> as in the first line",
    ),
    (
        "trial_called_target",
        {"trials": "a a-1 target\nb-1 c-1 target\nc a-1 nontarget\n"},
        (
            "trials:2: trial 'b-1 c-1' is target, but utt2spk says 'b' and 'c', expected "
            "nontarget; 1 of 3 trials are like this;"
        ),
    ),
    (
        "trial_called_nontarget",
        {"trials": "a-1 a-2 nontarget\nb-1 c-1 target\n"},
        (
            "trials:1: trial 'a-1 a-2' is nontarget, but utt2spk says 'a' on both sides, "
            "expected target; 2 of 2 trials are like this (are"
        ),
    ),
    (
        "trial_of_a_model_called_target",
        {"trials": "a-1 a-2 target\nm1 c-1 target\nb-1 c-1 nontarget\n"},
        "trials:2: trial 'm1 c-1' is target, but utt2spk and enroll.spk2utt say 'a' and 'c'",
    ),
    (
        "trial_of_a_model_with_a_speakers_name",
        {"enroll_spk2utt": "b a-1\n", "trials": "b a-2 nontarget\na-1 b-1 nontarget\n"},
        (
            "trials:1: trial 'b a-2' is nontarget, but utt2spk and enroll.spk2utt say "
            "'a' on both sides"
        ),
    ),
    (
        "trial_of_a_speaker_called_target",
        {"trials": "a b-1 target\nb b-1 target\nc a-1 nontarget\n"},
        "trials:1: trial 'a b-1' is target, but utt2spk says 'a' and 'b'",
    ),
    (
        "trial_with_itself",
        {"trials": "a-1 a-2 target\nb-1 b-1 target\nb-1 c-1 nontarget\n"},
        (
            "trials:2: trial of utterance 'b-1' with itself, expected two recordings; 1 "
            "of 3 trials are like this"
        ),
    ),
    (
        "trial_inside_its_model",
        {"trials": "a-1 b-1 nontarget\nm1 a-2 target\n"},
        "trials:2: test side 'a-2' is an utterance of its own model 'm1' (enroll.spk2utt)",
    ),
    (
        "model_of_two_speakers",
        {"enroll_spk2utt": "m1 a-1 a-2\nm2 b-1 c-1\n", "trials": None},
        (
            "enroll.spk2utt:2: model 'm2' has utterances of 'b' ('b-1') and 'c' ('c-1'), "
            "expected those of one speaker"
        ),
    ),
    (
        "trial_of_unknown_model",
        {"trials": "a a-1 target\nm2 b-1 nontarget\n"},
        "trials:2: enrolment side 'm2' is not in",
    ),
    (
        "trial_of_unknown_test",
        {"trials": "a a-1 target\nm1 b-2 nontarget\n"},
        "trials:2: test side 'b-2' is not in utt2spk",
    ),
    (
        "trial_of_test_speaker",
        {"trials": "a a-1 target\nm1 b nontarget\n"},
        "trials:2: test side 'b' is not in utt2spk, expected an utterance",
    ),
    (
        "trial_twice",
        {"trials": "a a-1 target\nb a-1 nontarget\na a-1 target\n"},
        "trials:3: trial 'a a-1' again, expected each once (first: line 1)",
    ),
    (
        "trial_of_both_classes",
        {"trials": "a a-1 target\na a-1 nontarget\n"},
        (
            "trials:2: trial 'a a-1' again, as nontarget, expected each once (first: "
            "line 1, as target)"
        ),
    ),
]
SEGMENT_BREAKS = [
    (
        "fields",
        {"segments": "a-1 r1 0\na-2 r1 1.5 2\nb-1 r2 0.25 3\n"},
        "segments:1: 3 fields 'a-1 r1 0', expected 4: <utterance> <recording>",
    ),
    (
        "utterance_missing",
        {"segments": "a-1 r1 0 1\nb-1 r2 0 1\n"},
        "utt2spk:2: utterance 'a-2' is not in segments",
    ),
    (
        "recording_unknown",
        {"segments": "a-1 r1 0 1\na-2 r3 0 1\nb-1 r2 0 1\n"},
        "segments:2: recording 'r3' is not in wav.scp",
    ),
    (
        "recording_unused",
        {"segments": "a-1 r1 0 1\na-2 r1 0 1\nb-1 r1 0 1\n"},
        "wav.scp:2: recording 'r2' is not in segments",
    ),
    ("reco_map", {"reco2dur": "r1 2\n"}, "segments:3: recording 'r2' is not in reco2dur"),
    (
        "start_negative",
        {"segments": "a-1 r1 -1 1\na-2 r1 0 1\nb-1 r2 0 1\n"},
        "segments:1: start '-1' and end '1', expected seconds",
    ),
    (
        "end_before_start",
        {"segments": "a-1 r1 0 1\na-2 r1 2 1\nb-1 r2 0 1\n"},
        "segments:2: start '2' and end '1'",
    ),
    (
        "end_is_start",
        {"segments": "a-1 r1 0 1\na-2 r1 0 1\nb-1 r2 1 1.0\n"},
        "segments:3: start '1' and end '1.0'",
    ),
    (
        "end_infinite",
        {"segments": "a-1 r1 0 inf\na-2 r1 0 1\nb-1 r2 0 1\n"},
        "segments:1: start '0' and end 'inf'",
    ),
    (
        "start_not_a_number",
        {"segments": "a-1 r1 o 1\na-2 r1 0 1\nb-1 r2 0 1\n"},
        "segments:1: start 'o' and end '1'",
    ),
]
