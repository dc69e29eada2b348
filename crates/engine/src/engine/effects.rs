//! What an input makes: effects, answers, and writes with the numbers that they need.

use althing_store::{Batch, Op, Snapshot, Table};

use crate::engine::Engine;
use crate::{Answer, AskNo, Effect, Note, Output, Refusal, RefusalKind, RequestNo};

impl<S: Snapshot> Engine<S> {
    /// Gives an effect that waits for nothing.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.outputs.push_back(Output { after: None, effect });
    }

    /// Gives an effect that waits until what this input wrote is durable.
    pub(crate) fn effect_when_durable(&mut self, effect: Effect) {
        self.gated.push(effect);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.effect(Effect::Note(note));
    }

    /// Answers a client once everything written so far is durable.
    pub(crate) fn answer(&mut self, no: AskNo, answer: Answer) {
        self.effect_when_durable(Effect::Reply(no, answer));
    }

    pub(crate) fn refuse(
        &mut self,
        no: AskNo,
        kind: RefusalKind,
        cause: impl Into<String>,
        hint: Option<&str>,
    ) {
        let refusal = Refusal { kind, cause: cause.into(), hint: hint.map(ToOwned::to_owned) };
        self.effect(Effect::Reply(no, Answer::Refused(refusal)));
    }

    pub(crate) fn refuse_while_full(&mut self, no: AskNo) {
        let hint = Some("free some space; the node goes on by itself");
        self.refuse(no, RefusalKind::Internal, "the disk is full: nothing can be written", hint);
    }

    pub(super) fn halt(&mut self, cause: String) {
        self.halted = true;
        self.batch = Batch::default();
        self.gated.clear();
        self.effect(Effect::Halt(cause));
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(crate) fn request_no(&mut self) -> RequestNo {
        RequestNo(self.number())
    }

    // Writes go to the overlay at once, so that later reads of the same input see them.

    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.write(Op::Put { table, key, value });
    }

    pub(crate) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.write(Op::Delete { table, key });
    }

    pub(crate) fn write_all(&mut self, batch: &Batch) {
        batch.ops().iter().for_each(|op| self.write(op.clone()));
    }

    fn write(&mut self, op: Op) {
        self.store.write(self.assigned.next(), &op);
        self.batch.push(op);
    }

    /// Has this input's commit synced before anything that waits for it leaves.
    pub(crate) fn require_sync(&mut self) {
        self.batch.require_sync();
    }
}
