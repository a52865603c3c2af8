-- The rows of a points transaction: an account's balance, a ledger entry, and an idempotency key.
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE entry (id bigserial PRIMARY KEY, account int NOT NULL, points bigint NOT NULL, at timestamptz NOT NULL);
CREATE TABLE seen (key uuid PRIMARY KEY, answer text NOT NULL);
INSERT INTO account SELECT id, 0 FROM generate_series(1, 10000) AS id;
