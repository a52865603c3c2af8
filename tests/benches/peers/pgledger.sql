-- As many accounts as in the other cases, and the shop's own account, which points come from.
CREATE TABLE account_of AS
  SELECT n, (pgledger_create_account('customer ' || n, 'PTS')).id AS id FROM generate_series(0, 10000) AS n;
CREATE UNIQUE INDEX ON account_of (n);
