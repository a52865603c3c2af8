//! A linearizability checker: finds one order of all operations on an account that
//! explains every response.
//!
//! The search of Wing and Gong with Lowe's memory. Operations are put in sequence. The
//! next one must have begun before any remaining one ended, and a model account must give
//! the same result. A set of operations that led to the same state before is not searched
//! again.
//!
//! An operation whose response was not read may have happened at any instant after its
//! beginning, or never.

use std::collections::{BTreeSet, HashSet};

/// A call on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Add(i64),
    Subtract(i64),
    Read,
    /// Redeems points for a reward.
    Issue(i64),
    /// Cancels the redemption that the operation with this number issued.
    Cancel(usize),
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// Accepted; the new balance.
    Balance(i64),
    /// Rejected; the balance, which is too small.
    Insufficient(i64),
}

/// A call, its result if that was read, and its begin and end on a clock that all clients
/// share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) call: Call,
    pub(crate) result: Option<CallResult>,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// The model: a balance, and the open redemptions by the number of their operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ModelAccount {
    balance: i64,
    open_redemptions: BTreeSet<(usize, i64)>,
}

impl ModelAccount {
    fn subtract(&mut self, points: i64) -> CallResult {
        if self.balance < points {
            return CallResult::Insufficient(self.balance);
        }
        self.balance -= points;
        CallResult::Balance(self.balance)
    }

    /// Applies operation `number` and returns its result.
    fn apply(&mut self, number: usize, call: Call) -> CallResult {
        match call {
            Call::Add(points) => self.balance += points,
            Call::Subtract(points) => return self.subtract(points),
            Call::Read => {}
            Call::Issue(cost) => {
                let result = self.subtract(cost);
                if let CallResult::Balance(_) = result {
                    self.open_redemptions.insert((number, cost));
                }
                return result;
            }
            // Cancelling it again changes nothing.
            Call::Cancel(issue) => {
                let found = self
                    .open_redemptions
                    .iter()
                    .find(|(number, _)| *number == issue)
                    .copied();
                if let Some(redemption) = found {
                    self.open_redemptions.remove(&redemption);
                    self.balance += redemption.1;
                }
            }
        }
        CallResult::Balance(self.balance)
    }
}

/// Returns true if an account that began with this balance can have given all results.
pub(crate) fn is_linearizable(history: &[Operation], balance: i64) -> bool {
    assert!(history.len() <= 128, "one bit for each operation");
    let model = ModelAccount { balance, open_redemptions: BTreeSet::new() };
    Search { history, visited: HashSet::new() }.can_complete(0, &model)
}

struct Search<'a> {
    history: &'a [Operation],
    /// Sets of applied operations with the resulting state, from which no sequence
    /// completes.
    visited: HashSet<(u128, ModelAccount)>,
}

impl Search<'_> {
    fn can_complete(&mut self, done: u128, model: &ModelAccount) -> bool {
        let remaining: Vec<usize> = (0..self.history.len())
            .filter(|number| done & (1 << number) == 0)
            .collect();

        if remaining.iter().all(|number| self.history[*number].result.is_none()) {
            return true;
        }

        if !self.visited.insert((done, model.clone())) {
            return false;
        }

        let first_end = remaining.iter().map(|number| self.end_time(*number)).min().unwrap();
        remaining
            .into_iter()
            .filter(|number| self.history[*number].began < first_end)
            .any(|number| {
                let Operation { call, result, .. } = self.history[number];
                let mut next = model.clone();
                let expected = next.apply(number, call);
                result.is_none_or(|result| result == expected)
                    && self.can_complete(done | 1 << number, &next)
            })
    }

    fn end_time(&self, number: usize) -> u64 {
        let Operation { result, ended, .. } = self.history[number];
        if result.is_some() { ended } else { u64::MAX }
    }
}

mod tests {
    use super::*;
    use crate::SplitMix64;

    fn op(call: Call, result: impl Into<Option<CallResult>>, time: (u64, u64)) -> Operation {
        Operation { call, result: result.into(), began: time.0, ended: time.1 }
    }

    use Call::{Add, Cancel, Issue, Read, Subtract};
    use CallResult::{Balance, Insufficient};

    #[test]
    fn linearizable_histories_are_accepted() {
        let rows: &[(&str, &[Operation])] = &[
            (
                "one after the other",
                &[op(Add(5), Balance(15), (0, 1)), op(Read, Balance(15), (2, 3))],
            ),
            (
                "a read concurrent with a write sees it",
                &[op(Add(5), Balance(15), (0, 3)), op(Read, Balance(15), (1, 2))],
            ),
            (
                "a read concurrent with a write misses it",
                &[op(Add(5), Balance(15), (0, 3)), op(Read, Balance(10), (1, 2))],
            ),
            (
                "two reads concurrent with a write",
                &[
                    op(Add(5), Balance(15), (0, 5)),
                    op(Read, Balance(10), (1, 2)),
                    op(Read, Balance(15), (3, 4)),
                ],
            ),
            (
                "spent by one of two",
                &[op(Subtract(7), Balance(3), (0, 3)), op(Subtract(7), Insufficient(3), (1, 2))],
            ),
            (
                "an unread write that happened late",
                &[
                    op(Add(5), None, (0, 1)),
                    op(Read, Balance(10), (2, 3)),
                    op(Read, Balance(15), (4, 5)),
                ],
            ),
            (
                "an unread write that never happened",
                &[op(Add(5), None, (0, 1)), op(Read, Balance(10), (2, 3))],
            ),
            (
                "issued, and cancelled twice",
                &[
                    op(Issue(4), Balance(6), (0, 1)),
                    op(Cancel(0), Balance(10), (2, 5)),
                    op(Cancel(0), Balance(10), (3, 6)),
                ],
            ),
            (
                "cancelled by an unread operation",
                &[
                    op(Issue(4), Balance(6), (0, 1)),
                    op(Cancel(0), None, (2, 3)),
                    op(Subtract(10), Balance(0), (4, 5)),
                ],
            ),
        ];
        for (case, history) in rows {
            assert!(is_linearizable(history, 10), "{case}");
        }
    }

    #[test]
    fn other_histories_are_rejected() {
        let rows: &[(&str, &[Operation])] = &[
            (
                "a stale read",
                &[op(Add(5), Balance(15), (0, 1)), op(Read, Balance(10), (2, 3))],
            ),
            (
                "a lost update",
                &[op(Add(5), Balance(15), (0, 3)), op(Add(5), Balance(15), (1, 2))],
            ),
            (
                "an update that got lost later",
                &[
                    op(Add(5), Balance(15), (0, 1)),
                    op(Add(3), Balance(18), (2, 3)),
                    op(Read, Balance(13), (4, 5)),
                ],
            ),
            (
                "applied twice",
                &[op(Add(5), Balance(15), (0, 1)), op(Read, Balance(20), (2, 3))],
            ),
            (
                "an unread write applied twice",
                &[op(Add(5), None, (0, 1)), op(Read, Balance(20), (2, 3))],
            ),
            (
                "spent twice",
                &[op(Subtract(7), Balance(3), (0, 3)), op(Issue(7), Balance(-4), (1, 2))],
            ),
            (
                "spent twice, with the same answer",
                &[op(Subtract(7), Balance(3), (0, 3)), op(Subtract(7), Balance(3), (1, 2))],
            ),
            ("rejected with enough points", &[op(Subtract(7), Insufficient(3), (0, 1))]),
            (
                "returned twice",
                &[
                    op(Issue(4), Balance(6), (0, 1)),
                    op(Cancel(0), Balance(10), (2, 5)),
                    op(Cancel(0), Balance(14), (3, 6)),
                ],
            ),
            (
                "a read that goes back",
                &[
                    op(Add(5), Balance(15), (0, 9)),
                    op(Read, Balance(15), (1, 2)),
                    op(Read, Balance(10), (3, 4)),
                ],
            ),
            (
                "read before the write began",
                &[op(Read, Balance(15), (0, 1)), op(Add(5), Balance(15), (2, 3))],
            ),
        ];
        for (case, history) in rows {
            assert!(!is_linearizable(history, 10), "{case}");
        }
    }

    /// The same by brute force: every order of every set that contains all operations
    /// with a result.
    fn brute_force(history: &[Operation], order: &mut Vec<usize>, balance: i64) -> bool {
        let missing = (0..history.len()).filter(|number| !order.contains(number));
        let remaining: Vec<usize> = missing.collect();
        if remaining.iter().all(|number| history[*number].result.is_none())
            && explains(history, order, balance)
        {
            return true;
        }
        remaining.into_iter().any(|number| {
            order.push(number);
            let found = brute_force(history, order, balance);
            order.pop();
            found
        })
    }

    fn explains(history: &[Operation], order: &[usize], balance: i64) -> bool {
        let mut model = ModelAccount { balance, open_redemptions: BTreeSet::new() };
        let in_time = order.iter().enumerate().all(|(index, number)| {
            let following = order[index..].iter().map(|number| &history[*number]);
            following
                .clone()
                .all(|later| later.result.is_none() || later.ended >= history[*number].began)
        });
        in_time
            && order.iter().all(|number| {
                let result = model.apply(*number, history[*number].call);
                history[*number].result.is_none_or(|actual| actual == result)
            })
    }

    #[test]
    fn the_search_agrees_with_brute_force() {
        let (mut random, mut found) = (SplitMix64::new(7), [0, 0]);
        for _ in 0..4_000 {
            let mut history = Vec::<Operation>::new();
            let mut ticks: Vec<u64> = (0..10).collect();
            random.shuffle(&mut ticks);
            for number in 0..5 {
                let (one, other) = (ticks[2 * number], ticks[2 * number + 1]);

                let mut issues =
                    (0..number).filter(|earlier| matches!(history[*earlier].call, Issue(_)));
                let call = match (random.below(5), issues.next_back()) {
                    (0, _) => Add(1),
                    (1, _) => Subtract(1),
                    (2, _) => Issue(1),
                    (3, Some(issue)) => Cancel(issue),
                    _ => Read,
                };

                let balance = random.points(3) - 1;
                let result = match call {
                    Subtract(_) | Issue(_) if balance == 0 && random.below(2) == 0 => {
                        Insufficient(0)
                    }
                    _ => Balance(balance),
                };
                let result = Some(result).filter(|_| random.below(4) > 0);
                history.push(op(call, result, (one.min(other), one.max(other))));
            }

            let (quick, thorough) =
                (is_linearizable(&history, 1), brute_force(&history, &mut Vec::new(), 1));
            assert_eq!(quick, thorough, "{history:#?}");
            found[usize::from(quick)] += 1;
        }
        assert!(found.iter().all(|count| *count > 300), "{found:?} are of each kind");
    }
}
