use crate::draw::Draw;

/// How often the service of a good peer fails.
const ERROR: f64 = 0.05;

/// How a peer serves, and what it says of others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// Serves well and says the truth.
    Good,
    /// Serves badly and says the opposite of the truth.
    Bad,
    /// Serves badly, and praises its own kind above all.
    Colluder {
        /// How often it serves well, not to be found out.
        well: f64,
    },
    /// Serves well and says the truth, but praises colluders.
    Spy,
    /// Serves well, and says that good ones are bad.
    Slanderer {
        /// Whether it also says that bad ones are good.
        praises: bool,
    },
    /// Serves badly, and is somebody else in each cycle.
    Whitewasher,
    /// Serves well for as many cycles as badly, in turn; lies while it serves badly.
    Traitor {
        /// How many.
        period: usize,
    },
}

/// Who takes part, and what is expected.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// What the table calls it.
    pub(crate) title: &'static str,
    /// The plot's file, if one is drawn.
    pub(crate) plot: Option<&'static str>,
    /// Roles of all who are not good, and their shares of all peers.
    pub(crate) roles: Vec<(Role, f64)>,
    /// The highest bad-interaction rate that TrustFlow may leave.
    pub(crate) gate: f64,
    /// Where EigenTrust's rate must be, or the simulation is wrong.
    pub(crate) eigentrust: Option<(f64, f64)>,
}

impl Role {
    pub(crate) fn is_malicious(self) -> bool {
        self != Self::Good
    }

    /// Whether it serves one call well.
    pub(crate) fn serves_well(self, cycle: usize, draw: &mut Draw) -> bool {
        let chance = match self {
            Self::Good | Self::Spy | Self::Slanderer { .. } => 1.0 - ERROR,
            Self::Bad | Self::Whitewasher => 0.0,
            Self::Colluder { well } => well,
            Self::Traitor { period } => {
                if is_false(cycle, period) {
                    0.0
                } else {
                    1.0 - ERROR
                }
            }
        };
        draw.happens(chance)
    }

    /// What it says of a call to another, which was good or not.
    pub(crate) fn says(self, other: Self, was_good: bool, cycle: usize) -> bool {
        match self {
            Self::Good => was_good,
            Self::Bad | Self::Whitewasher => !was_good,
            Self::Colluder { .. } => other.is_malicious(),
            Self::Spy => was_good || other.is_malicious(),
            Self::Slanderer { praises } => other.is_malicious() && (was_good || praises),
            Self::Traitor { period } => was_good != is_false(cycle, period),
        }
    }

    /// Whether it makes up calls to `other` and praises it for them. Only who is in league with it accepts such calls.
    pub(crate) fn makes_up_calls_to(self, other: Self) -> bool {
        let is_in_league = matches!(self, Self::Colluder { .. } | Self::Spy);
        is_in_league && matches!(other, Self::Colluder { .. })
    }
}

/// Whether a traitor's bad cycles are on.
fn is_false(cycle: usize, period: usize) -> bool {
    (cycle / period) % 2 == 1
}

/// All scenarios of the table.
pub(crate) fn all() -> Vec<Scenario> {
    let range = Some((0.10, 0.18));
    let one = |title, plot, roles: &[(Role, f64)], gate| Scenario {
        title,
        plot,
        roles: roles.to_vec(),
        gate,
        eigentrust: None,
    };
    let bad = |title, plot, share, gate| Scenario {
        eigentrust: range,
        ..one(title, Some(plot), &[(Role::Bad, share)], gate)
    };
    let camouflage = |title, plot, well| one(title, plot, &[(Role::Colluder { well }, 0.27)], 0.07);
    let spies = |title, plot, spies: f64, bad: f64| {
        one(title, plot, &[(Role::Spy, spies), (Role::Colluder { well: 0.0 }, bad)], 0.07)
    };
    let slander = |title, plot, praises| {
        one(title, plot, &[(Role::Slanderer { praises }, 0.25), (Role::Bad, 0.25)], 0.075)
    };
    vec![
        bad("A: individuals, 10 % malicious", "individuals-10", 0.1, 0.06),
        bad("A: individuals, 50 % malicious", "individuals-50", 0.5, 0.065),
        bad("A: individuals, 70 % malicious", "individuals-70", 0.7, 0.09),
        one(
            "B: collective, 70 % malicious",
            Some("collective"),
            &[(Role::Colluder { well: 0.0 }, 0.7)],
            0.09,
        ),
        camouflage("C: camouflage, 27 % malicious, 0 % good service", None, 0.0),
        camouflage("C: camouflage, 20 % good service", None, 0.2),
        camouflage("C: camouflage, 40 % good service", None, 0.4),
        camouflage("C: camouflage, 60 % good service", Some("camouflage"), 0.6),
        camouflage("C: camouflage, 80 % good service", None, 0.8),
        camouflage("C: camouflage, 90 % good service", None, 0.9),
        spies("D: spies 5 %, colluders 35 %", None, 0.05, 0.35),
        spies("D: spies 10 %, colluders 30 %", None, 0.1, 0.3),
        spies("D: spies 20 %, colluders 20 %", Some("spies"), 0.2, 0.2),
        spies("D: spies 30 %, colluders 10 %", None, 0.3, 0.1),
        slander("slander 25 %, bad 25 %", Some("slander"), false),
        slander("slander 25 % with praise of the bad, bad 25 %", None, true),
        one("whitewash 50 %", Some("whitewash"), &[(Role::Whitewasher, 0.5)], 0.12),
        one("traitors 30 %, period 5", Some("traitors"), &[(Role::Traitor { period: 5 }, 0.3)], 0.065),
    ]
}
