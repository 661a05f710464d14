"""What a line has inspected: a row an image, its picture where a policy keeps it, and verdicts.

record     what is known of an inspected image, and what a person says of it
tables     both in a database
migrations how a database came to have these tables
url        where the database is, and what lies beside a SQLite file
database   a SQLite file or a PostgreSQL, opened and brought to these tables
search     which inspections are looked for, and in which order
history    finds them, and takes verdicts
tally      what they add up to
criteria   the threshold or rate that persons saved
keep       which pictures are kept
pictures   where they lie: a folder, or a bucket of S3
previews   small ones for lists
retention  what leaves after a time
export     inspections as a table
stats      how much there is
views      those of one part
lessons    which images teach something
proposals  what was made of them, step by step
errors     how it fails

Errors of the database and of disks become the package's own in `database` and `pictures`, and
nowhere else.
"""
