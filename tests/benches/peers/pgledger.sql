-- As many accounts as the other cases have, and the shop's own that points come from.
CREATE TABLE account_of AS
  SELECT n, (pgledger_create_account('customer ' || n, 'PTS')).id AS id FROM generate_series(0, 10000) AS n;
CREATE UNIQUE INDEX ON account_of (n);
