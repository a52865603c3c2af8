//! Gifts in transactions: the redemptions of gifts that wait, and the codes of those that were
//! taken back.

use loyalty_core::{AccountId, Command, Event, RedemptionId};
use sha2::{Digest, Sha256};

use super::{Transaction, TransactionError, TransactionView};

/// The random bits of a request, and how many codes were made of them.
pub(super) struct CodeEntropy {
    entropy: [u8; 32],
    drawn: u64,
}

impl CodeEntropy {
    pub(super) fn new(entropy: [u8; 32]) -> Self {
        Self { entropy, drawn: 0 }
    }

    /// Returns bits for the next code. Nobody can tell them from those for other codes.
    fn draw(&mut self) -> [u8; 16] {
        let hash = Sha256::new()
            .chain_update(self.entropy)
            .chain_update(self.drawn.to_be_bytes())
            .finalize();
        self.drawn = self.drawn.saturating_add(1);

        let mut bits = [0; 16];
        bits.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        bits
    }
}

/// Returns the redemptions that events have cancelled with the cause of a gift.
pub(super) fn taken_back(events: &[Event]) -> Vec<RedemptionId> {
    let taken_back = |event: &Event| {
        if let Event::GiftUndone { redemption, is_kept: false, .. } = event {
            *redemption
        } else {
            None
        }
    };
    events.iter().filter_map(taken_back).collect()
}

impl<V: TransactionView> Transaction<'_, V> {
    /// Issues a redemption for each gift of an account that waits for one, each in a row of its
    /// own, whose number it has.
    ///
    /// Without random bits gifts keep waiting: the account is due, and a catch-up issues them.
    /// Where the place of the row is not known, the transaction has to be decided again.
    pub(super) fn issue_gifts(&mut self, account: AccountId) -> Result<(), TransactionError> {
        loop {
            let record = self.load_account(account)?;
            let now = self.now.max(record.at);
            let gifts = record.account.activity().gifts();
            let (Some(_), Some(codes)) = (gifts.first_due(now), &mut self.gift_codes) else {
                break;
            };
            if !self.view.is_place_known() {
                self.needs_place = true;
                break;
            }

            let entropy = codes.draw();
            let redemption = RedemptionId(self.next_seq());
            let command = Command::IssueGift { redemption, entropy };
            self.run_without_gifts(Some(account), &command)?;
            let issued = self.load_redemption(redemption)?;
            self.create_redemption_code(account, &issued.redemption)?;
        }
        Ok(())
    }
}
