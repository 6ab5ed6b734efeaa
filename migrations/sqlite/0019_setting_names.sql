-- MySQL takes no column that is called `key`.
ALTER TABLE settings RENAME COLUMN key TO name;
