"""VCTK: folder tree, speakers and sentences.  For local.prepare_vctk and local.prepare_noisy_vctk."""
