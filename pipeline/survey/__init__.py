"""Everything KiDS: file names, bands, catalogue columns, MASK bits; the only reader of survey files."""
