use super::fixed::{ONE, div, mul};
use super::trust::Anchors;
use super::view::Opinions;

/// Steps of spreading trust.
const STEPS: usize = 24;
/// The share of trust that starts anew at the anchors in each step.
const RESTART: u64 = div(3, 10);

/// Whom trust reaches from the anchors, and along which edges. They have numbers of their own, in the order in which trust
/// gets to them: who is near in trust is near in memory, and only they are looked at.
#[derive(Debug)]
pub(super) struct Flow {
    /// The places of those whom it reaches.
    places: Vec<usize>,
    /// The numbers of the anchors, in their order.
    anchors: Vec<usize>,
    /// Where the edges from each of them begin, and where the last end.
    starts: Vec<u32>,
    /// Targets, and shares of what their rater gives, in units of 2⁻³². An only edge carries all, whatever stands here.
    edges: Vec<(u32, u32)>,
    mass: Vec<u64>,
    next: Vec<u64>,
}

impl Flow {
    /// `count` agents, of whom opinions may know only the first.
    pub(super) fn new(opinions: &Opinions, anchors: &Anchors, count: usize) -> Self {
        const UNREACHED: u32 = u32::MAX;
        let mut numbers = vec![UNREACHED; count];
        let mut places = Vec::with_capacity(count);
        let mut number = |at: usize, places: &mut Vec<usize>| {
            if numbers[at] == UNREACHED {
                numbers[at] = u32::try_from(places.len()).expect("fewer than 2³² agents");
                places.push(at);
            }
            numbers[at]
        };
        let anchors = anchors.weights.iter().map(|(at, _)| number(*at, &mut places) as usize).collect();
        let mut starts = Vec::with_capacity(count + 1);
        let mut edges = Vec::with_capacity(opinions.edges.len());
        starts.push(0_u32);
        // Who is reached on the way comes to the end, and has its turn.
        let mut turn = 0;
        while let Some(at) = places.get(turn).copied() {
            if at < opinions.targets() {
                let of = opinions.edges_from(at).iter();
                edges.extend(of.map(|(target, share)| (number(*target as usize, &mut places), *share)));
            }
            starts.push(u32::try_from(edges.len()).expect("fewer than 2³² edges"));
            turn += 1;
        }
        let zeros = || vec![0; places.len()];
        Self { anchors, starts, edges, mass: zeros(), next: zeros(), places }
    }

    /// Trust mass by place: what starts at the anchors, by their shares, and flows along edges as far as raters are honest.
    /// The sum is exactly 1. Whom trust does not reach has none.
    pub(super) fn spread(
        &mut self,
        starts: &[(usize, u64)],
        honesty: &[u64],
    ) -> impl Iterator<Item = (usize, u64)> {
        self.mass.fill(0);
        for (at, (_, start)) in self.anchors.iter().zip(starts) {
            self.mass[*at] = *start;
        }
        let honesty: Vec<u64> = self.places.iter().map(|at| honesty[*at]).collect();
        for _ in 0..STEPS {
            for ((mass, honesty), range) in self.mass.iter().zip(&honesty).zip(self.starts.windows(2)) {
                let given = mul(*mass, *honesty);
                // Most trust is with few, so most have nothing to give.
                if given == 0 {
                    continue;
                }
                match &self.edges[range[0] as usize..range[1] as usize] {
                    [(target, _)] => self.next[*target as usize] += given,
                    edges => {
                        for (target, share) in edges {
                            // At most 1 of a share below 1: the product is below 2⁶⁴.
                            self.next[*target as usize] += (given * u64::from(*share)) >> 32;
                        }
                    }
                }
            }
            let mut left = ONE;
            for (mass, sum) in self.mass.iter_mut().zip(&mut self.next) {
                // At most 1 times less than 1.
                *mass = ((ONE - RESTART) * std::mem::take(sum)) >> 32;
                left -= *mass;
            }
            let rest = left;
            for (at, (_, start)) in self.anchors.iter().zip(starts) {
                let part = mul(rest, *start);
                self.mass[*at] += part;
                left -= part;
            }
            // What flooring lost goes to the anchor with the lowest id.
            self.mass[self.anchors[0]] += left;
        }
        self.places.iter().copied().zip(self.mass.iter().copied())
    }
}
