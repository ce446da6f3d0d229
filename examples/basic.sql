-- What examples/basic.cpp follows. Can be run again: it starts afresh.
SET client_min_messages = warning;

DROP PUBLICATION IF EXISTS cars_pub;
DROP TABLE IF EXISTS cars;

CREATE TABLE cars (
  owner         text   NOT NULL,
  license_plate bigint NOT NULL,
  color         text   NOT NULL,
  PRIMARY KEY (owner, license_plate)
);

INSERT INTO cars VALUES
  ('Alice', 123, 'blue'),
  ('Bob', 20, 'green'),
  ('Bob', 456, 'red'),
  ('Charlie', 1000, 'white'),
  ('Charlie', 1002, 'black'),
  ('Charlie', 1003, 'yellow');

CREATE PUBLICATION cars_pub FOR TABLE cars;
