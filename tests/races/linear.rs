//! Is there one order of all operations on an account that explains every answer?
//!
//! The search of Wing and Gong with Lowe's memory: operations are put in order one after the other; one can be
//! next if no other that is left had ended before it began; its answer must be what a plain account would say at
//! that point. Whoever comes to the same operations in the same state a second time need not look again.
//!
//! An operation whose answer nobody read may have happened at any instant from its beginning on, or never.

use std::collections::{BTreeSet, HashSet};

/// What is asked of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Add(i64),
    Subtract(i64),
    Read,
    /// Points for a reward.
    Issue(i64),
    /// Gives a reward back: the one that was issued by the operation with this number.
    Cancel(usize),
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// Done; the balance is this.
    Balance(i64),
    /// Not done, since there are only so many points.
    Insufficient(i64),
}

/// A call, what was said where that was read, and when on a clock that all clients share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) call: Call,
    pub(crate) result: Option<CallResult>,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// An account as plain as can be: a balance, and the operations whose rewards are out.
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

    /// What operation `number` does, and is told.
    fn apply(&mut self, number: usize, call: Call) -> CallResult {
        match call {
            Call::Add(points) => self.balance += points,
            Call::Subtract(points) => return self.subtract(points),
            Call::Read => {}
            Call::Issue(cost) => {
                let said = self.subtract(cost);
                if let CallResult::Balance(_) = said {
                    self.open_redemptions.insert((number, cost));
                }
                return said;
            }
            // Cancelled once more it is done already.
            Call::Cancel(issue) => {
                let found = self
                    .open_redemptions
                    .iter()
                    .find(|(number, _)| *number == issue)
                    .copied();
                if let Some(out) = found {
                    self.open_redemptions.remove(&out);
                    self.balance += out.1;
                }
            }
        }
        CallResult::Balance(self.balance)
    }
}

/// Whether an account that began with so many points can have said all that.
pub(crate) fn is_linearizable(history: &[Operation], balance: i64) -> bool {
    assert!(history.len() <= 128, "one bit for each operation");
    let plain = ModelAccount { balance, open_redemptions: BTreeSet::new() };
    Search { history, visited: HashSet::new() }.can_complete(0, &plain)
}

struct Search<'a> {
    history: &'a [Operation],
    /// Sets of operations that were done, with what they left, from which there is no way on.
    visited: HashSet<(u128, ModelAccount)>,
}

impl Search<'_> {
    fn can_complete(&mut self, done: u128, plain: &ModelAccount) -> bool {
        let left: Vec<usize> = (0..self.history.len())
            .filter(|number| done & (1 << number) == 0)
            .collect();
        if left.iter().all(|number| self.history[*number].result.is_none()) {
            return true;
        }
        if !self.visited.insert((done, plain.clone())) {
            return false;
        }
        let first_end = left.iter().map(|number| self.end_time(*number)).min().unwrap();
        left.into_iter()
            .filter(|number| self.history[*number].began < first_end)
            .any(|number| {
                let Operation { call, result: said, .. } = self.history[number];
                let mut next = plain.clone();
                let would_say = next.apply(number, call);
                said.is_none_or(|said| said == would_say)
                    && self.can_complete(done | 1 << number, &next)
            })
    }

    fn end_time(&self, number: usize) -> u64 {
        let Operation { result: said, ended, .. } = self.history[number];
        if said.is_some() { ended } else { u64::MAX }
    }
}

mod tests {
    use super::*;
    use crate::SplitMix64;

    fn op(call: Call, said: impl Into<Option<CallResult>>, time: (u64, u64)) -> Operation {
        Operation { call, result: said.into(), began: time.0, ended: time.1 }
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
                "a read beside a write sees it",
                &[op(Add(5), Balance(15), (0, 3)), op(Read, Balance(15), (1, 2))],
            ),
            ("or not", &[op(Add(5), Balance(15), (0, 3)), op(Read, Balance(10), (1, 2))]),
            (
                "two reads beside a write",
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
                "a lost answer that happened late",
                &[
                    op(Add(5), None, (0, 1)),
                    op(Read, Balance(10), (2, 3)),
                    op(Read, Balance(15), (4, 5)),
                ],
            ),
            (
                "a lost answer that never happened",
                &[op(Add(5), None, (0, 1)), op(Read, Balance(10), (2, 3))],
            ),
            (
                "issued and given back, twice",
                &[
                    op(Issue(4), Balance(6), (0, 1)),
                    op(Cancel(0), Balance(10), (2, 5)),
                    op(Cancel(0), Balance(10), (3, 6)),
                ],
            ),
            (
                "given back by whoever was not answered",
                &[
                    op(Issue(4), Balance(6), (0, 1)),
                    op(Cancel(0), None, (2, 3)),
                    op(Subtract(10), Balance(0), (4, 5)),
                ],
            ),
        ];
        for (what, history) in rows {
            assert!(is_linearizable(history, 10), "{what}");
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
                "an unanswered one applied twice",
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
            ("refused though there was enough", &[op(Subtract(7), Insufficient(3), (0, 1))]),
            (
                "given back twice",
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
                "seen before it began",
                &[op(Read, Balance(15), (0, 1)), op(Add(5), Balance(15), (2, 3))],
            ),
        ];
        for (what, history) in rows {
            assert!(!is_linearizable(history, 10), "{what}");
        }
    }

    /// The same by trying every order of every set of operations that holds all that were answered.
    fn brute_force(history: &[Operation], order: &mut Vec<usize>, balance: i64) -> bool {
        let missing = (0..history.len()).filter(|number| !order.contains(number));
        let left: Vec<usize> = missing.collect();
        if left.iter().all(|number| history[*number].result.is_none())
            && explains(history, order, balance)
        {
            return true;
        }
        left.into_iter().any(|number| {
            order.push(number);
            let found = brute_force(history, order, balance);
            order.pop();
            found
        })
    }

    fn explains(history: &[Operation], order: &[usize], balance: i64) -> bool {
        let mut plain = ModelAccount { balance, open_redemptions: BTreeSet::new() };
        let in_time = order.iter().enumerate().all(|(place, number)| {
            let late = order[place..].iter().map(|number| &history[*number]);
            late.clone()
                .all(|later| later.result.is_none() || later.ended >= history[*number].began)
        });
        in_time
            && order.iter().all(|number| {
                let said = plain.apply(*number, history[*number].call);
                history[*number].result.is_none_or(|known| known == said)
            })
    }

    #[test]
    fn the_search_agrees_with_brute_force() {
        let (mut dice, mut found) = (SplitMix64::new(7), [0, 0]);
        for _ in 0..4_000 {
            let mut history = Vec::<Operation>::new();
            let mut ticks: Vec<u64> = (0..10).collect();
            dice.shuffle(&mut ticks);
            for number in 0..5 {
                let (one, other) = (ticks[2 * number], ticks[2 * number + 1]);
                let mut issues =
                    (0..number).filter(|earlier| matches!(history[*earlier].call, Issue(_)));
                let call = match (dice.below(5), issues.next_back()) {
                    (0, _) => Add(1),
                    (1, _) => Subtract(1),
                    (2, _) => Issue(1),
                    (3, Some(issue)) => Cancel(issue),
                    _ => Read,
                };
                let balance = dice.points(3) - 1;
                let said = match call {
                    Subtract(_) | Issue(_) if balance == 0 && dice.below(2) == 0 => Insufficient(0),
                    _ => Balance(balance),
                };
                let said = Some(said).filter(|_| dice.below(4) > 0);
                history.push(op(call, said, (one.min(other), one.max(other))));
            }
            let (quick, thorough) =
                (is_linearizable(&history, 1), brute_force(&history, &mut Vec::new(), 1));
            assert_eq!(quick, thorough, "{history:#?}");
            found[usize::from(quick)] += 1;
        }
        assert!(found.iter().all(|count| *count > 300), "{found:?} are of each kind");
    }
}
