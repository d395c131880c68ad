"""Addresses, sizes and checksums of the openly licensed sets.

As published, or as public projects that checked them state them: OpenSLR has ``checksum.md5``
beside the archive, Edinburgh DataShare has them in the metadata of each file; the SHA-256 of VCTK
is torchaudio's. An archive without a known checksum says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """One file to fetch.

    ``num_bytes`` is the exact size, None if it is not published; ``digest`` is ``md5:...`` or
    ``sha256:...`` as published, empty if none is known; ``source`` says who published it.
    """

    file: str
    url: str
    num_bytes: int | None
    digest: str
    source: str


@dataclass(frozen=True)
class Download:
    """One set: a description, its publishers' page, its licence and its archives."""

    description: str
    page: str
    licence: str
    archives: tuple[Archive, ...]


OPENSLR = "https://www.openslr.org/resources"
DATASHARE = "https://datashare.ed.ac.uk/bitstreams"
OF_DATASHARE = "Edinburgh DataShare, metadata of the file"

DOWNLOADS = {
    "musan": Download(
        "music, speech and noise",
        "https://www.openslr.org/17/",
        "CC BY 4.0",
        (
            Archive(
                "musan.tar.gz",
                f"{OPENSLR}/17/musan.tar.gz",
                11_086_114_085,
                "md5:0c472d4fc0c5141eca47ad1ffeb2a7df",
                f"{OPENSLR}/17/checksum.md5",
            ),
        ),
    ),
    "rirs_noises": Download(
        "room responses, measured and simulated",
        "https://www.openslr.org/28/",
        "Apache 2.0",
        (
            Archive(
                "rirs_noises.zip",
                f"{OPENSLR}/28/rirs_noises.zip",
                1_311_166_223,
                "md5:e6f48e257286e05de56413b4779d8ffb",
                f"{OPENSLR}/28/checksum.md5",
            ),
        ),
    ),
    "vctk": Download(
        "110 speakers of English, version 0.92",
        "https://doi.org/10.7488/ds/2645",
        "CC BY 4.0",
        (
            Archive(
                "VCTK-Corpus-0.92.zip",
                f"{DATASHARE}/535f4286-e54c-4038-838c-a02285e32cb2/download",
                11_747_302_977,
                "sha256:f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
                "torchaudio.datasets.VCTK_092; DataShare has md5 8a6ba2946b36fcbef0212cad601f4bfa",
            ),
        ),
    ),
    "noisy_vctk": Download(
        "clean and noisy speech of 30 of VCTK's speakers",
        "https://doi.org/10.7488/ds/2117",
        "CC BY 4.0",
        (
            Archive(
                "clean_trainset_28spk_wav.zip",
                f"{DATASHARE}/245452b6-6235-44b6-a6f9-e7eb19797769/download",
                2_486_057_279,
                "md5:d2d5a45ec32f8fcbf201bde0447e20ba",
                OF_DATASHARE,
            ),
            Archive(
                "noisy_trainset_28spk_wav.zip",
                f"{DATASHARE}/ecb5a102-bb00-46d3-8af5-40c79823b837/download",
                2_830_205_201,
                "md5:1fca9e8bafb8cd069f6653c6d92f9e9c",
                OF_DATASHARE,
            ),
            Archive(
                "clean_testset_wav.zip",
                f"{DATASHARE}/dec213d3-bf57-4777-9663-c24bdce92d5e/download",
                None,  # 154.3 MB
                "md5:34eb1c0ba7ef667e9b966866c542fc16",
                OF_DATASHARE,
            ),
            Archive(
                "noisy_testset_wav.zip",
                f"{DATASHARE}/13c1bfbf-14a6-41db-9b41-8f7310f01ad5/download",
                None,  # 170.6 MB
                "md5:fb1b86caa31e8ba5b506c0c64da9aab5",
                OF_DATASHARE,
            ),
        ),
    ),
    "speechocean762": Download(
        "250 speakers of English whose first language is Mandarin",
        "https://www.openslr.org/101/",
        "CC BY 4.0",
        (
            Archive(
                "speechocean762.tar.gz",
                f"{OPENSLR}/101/speechocean762.tar.gz",
                None,  # about 520 MB
                "",
                "no checksum found",
            ),
        ),
    ),
}
