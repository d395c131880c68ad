"""VCTK: folder tree, speakers, sentences. For local.prepare_vctk and local.prepare_noisy_vctk."""
