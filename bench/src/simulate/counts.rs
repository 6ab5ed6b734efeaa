//! What was counted, and how much of it there may be.

use super::{
    options::Options,
    plan::{Phase, phases},
};

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Second {
    /// Messages that were finished.
    pub(super) finished: u64,
    /// Hints that were read, by the node that read most.
    pub(super) hints_a_node: u64,
    /// Statements that sent bundles, their bundles, and these times the nodes that they were handed to.
    pub(super) sends: u64,
    pub(super) bundles: u64,
    pub(super) handed_out: u64,
    /// Statements that read notifications which others had told of.
    pub(super) reads: u64,
    /// Looks at all inboxes of a node, their statements, and the rows of these.
    pub(super) looks: u64,
    pub(super) look_statements: u64,
    pub(super) rows: u64,
    /// Sessions that were told after a look.
    pub(super) told: u64,
    /// Signs of life.
    pub(super) beats: u64,
}

/// All that was counted.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) phases: Vec<Phase>,
    pub(super) seconds: Vec<Second>,
    /// From commits to sessions at other nodes.
    pub(super) late_ms: Vec<f64>,
    /// Hints that a node read twice, or that nobody had sent.
    pub(super) hints_twice: u64,
    /// Looks of a node within a second of the last one.
    pub(super) looks_too_soon: u64,
    /// Users whose sessions did not know of all that they have at the end.
    pub(super) left_behind: u64,
}

impl Counts {
    pub(super) fn new(nodes: u16) -> Self {
        let phases = phases(nodes);
        let length = phases.last().map_or(0, |last| last.seconds.end);
        Self {
            phases,
            seconds: vec![Second::default(); length + 1],
            late_ms: vec![],
            hints_twice: 0,
            looks_too_soon: 0,
            left_behind: 0,
        }
    }

    /// The most of each in any second of `phase`.
    pub(super) fn most(&self, phase: &Phase) -> Second {
        let of = |figure: fn(&Second) -> u64| {
            let seconds = self.seconds[phase.seconds.clone()].iter();
            seconds.map(figure).max().unwrap_or(0)
        };
        Second {
            finished: of(|s| s.finished),
            hints_a_node: of(|s| s.hints_a_node),
            sends: of(|s| s.sends),
            bundles: of(|s| s.bundles),
            handed_out: of(|s| s.handed_out),
            reads: of(|s| s.reads),
            looks: of(|s| s.looks),
            look_statements: of(|s| s.look_statements),
            rows: of(|s| s.rows),
            told: of(|s| s.told),
            beats: of(|s| s.beats),
        }
    }
}

/// What there may be at most.
pub(super) struct Limits {
    nodes: u64,
    users: u64,
    rate: u64,
}

/// Handed out in a second: bundles of many nodes. Few nodes cannot send so many: each waits for the database's answers.
const HANDED_OUT: u64 = 220_000;

/// How late a notification may be: the time between two looks, and what the last one takes.
const LATE_MS: f64 = 32_000.0;

/// Users of one statement of a look, and sessions told in one second after looks.
const USERS_A_STATEMENT: u64 = 1024;
const TOLD_A_SECOND: u64 = 6_500;

impl Limits {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            nodes: options.nodes.into(),
            users: options.users.into(),
            rate: options.rate.into(),
        }
    }

    /// Which are broken, in words.
    pub(super) fn broken_by(&self, counts: &Counts) -> Vec<String> {
        let mut broken = vec![];
        let mut check = |what: String, is: u64, most: u64| {
            if is > most {
                broken.push(format!("{what}: {is}, at most {most}"));
            }
        };
        for (at, second) in counts.seconds.iter().enumerate() {
            let at = |what: &str| format!("second {at}: {what}");
            // What was finished late in a second is read in the next; after a pause in which nobody could, more comes at once.
            check(
                at("hints read by a node"),
                second.hints_a_node,
                3 * self.rate + 10,
            );
            check(
                at("bundles handed out"),
                second.handed_out,
                self.handed_out(),
            );
            check(
                at("bundles, for as many statements and full ones"),
                second.bundles,
                second.sends + second.finished / 20 + self.nodes,
            );
            check(
                at("statements for notifications"),
                second.reads,
                3 * self.rate + 10,
            );
            // All nodes look once at most, and so at each user once; one who moves is looked at where it comes to, too.
            check(at("looks"), second.looks, 2 * self.nodes);
            check(at("rows of looks"), second.rows, 2 * self.users);
            check(
                at("statements of looks"),
                second.look_statements,
                second.rows / USERS_A_STATEMENT + second.looks,
            );
            check(
                at("told after looks"),
                second.told,
                TOLD_A_SECOND * self.nodes,
            );
            // A beat of the lease and one of the channel; whoever has just come has them close together.
            check(
                at("beats"),
                second.beats,
                2 * self.nodes + self.nodes / 2 + 4,
            );
        }
        for phase in &counts.phases {
            let looks = counts.seconds[phase.seconds.clone()].iter();
            let looks = looks.map(|second| second.looks).sum();
            let most = phase.looks_a_node * self.nodes;
            check(format!("looks while {}", phase.name), looks, most);
        }
        check("hints read twice".into(), counts.hints_twice, 0);
        check("looks within a second".into(), counts.looks_too_soon, 0);
        check("users who were not told".into(), counts.left_behind, 0);
        let latest = counts.late_ms.iter().copied().fold(0.0, f64::max);
        if latest > LATE_MS {
            broken.push(format!("{latest} ms late, at most {LATE_MS}"));
        }
        broken
    }

    fn handed_out(&self) -> u64 {
        // Each hint is in one bundle, and there are beats.
        let unpacked = (self.rate + self.nodes) * 3 * self.nodes;
        unpacked.min(HANDED_OUT + 2 * self.nodes * self.nodes)
    }
}
