"""Every table that enters the program: opened by content, read by column, one meaning of missing.

    opening.open_table(path, needed)   the one door: what kind of file is it, which table of it
    table.Table                        names, rows and columns of one table, whatever holds it
    canonical, arrays                  what a value is: in Arrow, then in numpy
    fits_*, parquet, folders, text*, ecsv, votable   one module for each container

A missing value is null: TNULL, a null, what a mask column covers, a blank text, NaN. To add a
container, write a reader and add its line to ``opening.READERS``.
"""
