//! The best way to share layers, for a plan that a lock file will keep.

/// What costs something to transfer, and how often it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its size in bytes.
    pub size: u64,
    /// How often it changes, beside the others.
    pub weight: u64,
}

/// Parts `items` into at most `most` groups so that an update costs least, and gives the number of each one's group.
///
/// Whatever in a group changes, all of it is transferred, so a group costs the sum of its sizes times the sum of its
/// weights. Among items sorted by size and weight the best groups are runs of neighbours: of all cuts into runs this is
/// the best. Groups are numbered from the largest and least changing items on.
pub fn partition(items: &[Item], most: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..items.len()).collect();
    let scaled = |of: usize, by: usize| u128::from(items[of].size) * u128::from(items[by].weight);
    order.sort_by(|&a, &b| scaled(b, a).cmp(&scaled(a, b)).then(a.cmp(&b)));
    let mut groups = vec![0; items.len()];
    for (number, run) in runs(items, &order, most.min(items.len())).into_iter().enumerate() {
        for place in run {
            groups[order[place]] = number;
        }
    }
    groups
}

/// The best cut into `count` runs of places in `order`.
fn runs(items: &[Item], order: &[usize], count: usize) -> Vec<std::ops::Range<usize>> {
    let costs = Costs::new(items, order);
    let length = order.len();
    // best[end]: what the first `end` places cost in as many runs as there are cuts so far.
    let mut best = vec![u128::MAX; length + 1];
    best[0] = 0;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        let mut next = vec![u128::MAX; length + 1];
        let mut from = vec![0; length + 1];
        costs.extend(&best, &mut next, &mut from, (1, length), (0, length.saturating_sub(1)));
        best = next;
        starts.push(from);
    }
    let mut end = length;
    let mut runs = Vec::with_capacity(count);
    for from in starts.into_iter().rev() {
        runs.push(from[end]..end);
        end = from[end];
    }
    runs.reverse();
    runs
}

/// What runs cost, by sums over the places before each.
struct Costs {
    sizes: Vec<u128>,
    weights: Vec<u128>,
}

impl Costs {
    fn new(items: &[Item], order: &[usize]) -> Self {
        let sums = |value: fn(&Item) -> u64| {
            let mut sum = 0;
            let mut sums = vec![0];
            sums.extend(order.iter().map(|&item| {
                sum += u128::from(value(&items[item]));
                sum
            }));
            sums
        };
        Self { sizes: sums(|item| item.size), weights: sums(|item| item.weight) }
    }

    fn of(&self, start: usize, end: usize) -> u128 {
        (self.sizes[end] - self.sizes[start]) * (self.weights[end] - self.weights[start])
    }

    /// Finds the best last run for every end in `ends`, starting somewhere in `starts`. The further the end, the further
    /// the best start (the costs have Monge's property), so each half needs to look only at one side of the middle's.
    fn extend(
        &self,
        best: &[u128],
        next: &mut [u128],
        from: &mut [usize],
        ends: (usize, usize),
        starts: (usize, usize),
    ) {
        if ends.0 > ends.1 {
            return;
        }
        let middle = usize::midpoint(ends.0, ends.1);
        let cost = |start: usize| best[start].saturating_add(self.of(start, middle));
        let found = (starts.0..=starts.1.min(middle - 1)).min_by_key(|start| cost(*start)).unwrap_or(starts.0);
        (next[middle], from[middle]) = (cost(found), found);
        self.extend(best, next, from, (ends.0, middle - 1), (starts.0, found));
        self.extend(best, next, from, (middle + 1, ends.1), (found, starts.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(words: &str) -> Vec<Item> {
        words
            .split_whitespace()
            .map(|word| {
                let (size, weight) = word.split_once('x').unwrap();
                Item { size: size.parse().unwrap(), weight: weight.parse().unwrap() }
            })
            .collect()
    }

    fn cost(items: &[Item], groups: &[usize]) -> u128 {
        let sum = |group: usize, value: fn(&Item) -> u64| -> u128 {
            items.iter().zip(groups).filter(|(_, of)| **of == group).map(|(item, _)| u128::from(value(item))).sum()
        };
        (0..9).map(|group| sum(group, |item| item.size) * sum(group, |item| item.weight)).sum()
    }

    /// The cost of the best of all ways to give `items` to `most` groups.
    fn least(items: &[Item], most: usize) -> u128 {
        let ways = most.pow(u32::try_from(items.len()).unwrap());
        let group = |way: usize, item: usize| way / most.pow(u32::try_from(item).unwrap()) % most;
        let groups = |way| (0..items.len()).map(|item| group(way, item)).collect::<Vec<_>>();
        (0..ways).map(|way| cost(items, &groups(way))).min().unwrap()
    }

    #[test]
    fn no_other_way_is_better() {
        for words in [
            "5x1",
            "5x1 7x1",
            "100x1 1x1 2x1 3x1 90x1",
            "100x1 1x9 2x1 3x3 90x4 5x1",
            "8x1 8x1 8x1 8x1 8x1 8x1 8x1",
            "1000x1 900x5 10x1 9x5 8x1 7x1 1x1",
        ] {
            let items = items(words);
            for most in 1..=3 {
                assert_eq!(cost(&items, &partition(&items, most)), least(&items, most), "{words} in {most}");
            }
        }
    }

    #[test]
    fn large_items_are_alone_and_small_ones_together() {
        assert_eq!(partition(&items("3x1 100x1 2x1 50x1 1x1"), 3), [2, 0, 2, 1, 2]);
        assert_eq!(partition(&items("3x1 2x1"), 9), [0, 1]);
        assert_eq!(partition(&[], 9), [0; 0]);
    }
}
