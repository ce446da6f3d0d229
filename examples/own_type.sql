-- What examples/own_type.cpp follows. Can be run again: it starts afresh.
SET client_min_messages = warning;

DROP PUBLICATION IF EXISTS releases_pub;
DROP TABLE IF EXISTS releases;
DROP DOMAIN IF EXISTS version;

CREATE DOMAIN version AS text CHECK (VALUE ~ '^(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}$');

CREATE TABLE releases (
  program text    NOT NULL,
  version version NOT NULL,
  name    text    NOT NULL,
  PRIMARY KEY (program, version)
);

INSERT INTO releases VALUES
  ('editor', '1.10.1', 'Dragonfly'),
  ('editor', '1.2.0', 'Ant'),
  ('editor', '1.9.3', 'Cricket'),
  ('viewer', '1.0.0', 'Wasp');

CREATE PUBLICATION releases_pub FOR TABLE releases;
