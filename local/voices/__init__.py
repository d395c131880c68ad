"""VOiCES: lists, file names, protocol.  For local.prepare_voices."""
