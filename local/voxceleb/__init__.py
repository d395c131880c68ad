"""VoxCeleb 1 and 2: folder trees, official lists, metadata, sets.  For local.prepare_voxceleb."""
