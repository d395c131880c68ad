"""A corpus of the user's own: folder tree, table or Kaldi directory.  For local.prepare_folder."""
