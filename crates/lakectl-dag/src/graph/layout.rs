//! Where the nodes of an acyclic graph stand so that it reads from left to right: layers by longest path, few crossings by
//! barycentres, straight edges by least squares.

/// Sweeps over the layers; more change little.
const SWEEPS: usize = 12;

/// Places of nodes and the ways of edges. Layers count from 0; `y` is in units of rows and grows downwards.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// By node: its layer and the middle of its row.
    pub(super) nodes: Vec<(usize, f64)>,
    /// By edge: where it crosses the layers between its ends, from the first to the last.
    pub(super) ways: Vec<Vec<(usize, f64)>>,
    /// The number of layers.
    pub(super) layers: usize,
}

/// One place in a layer: a node, or an edge that passes through.
#[derive(Clone, Debug)]
struct Place {
    layer: usize,
    y: f64,
    before: Vec<usize>,
    after: Vec<usize>,
    /// The room that it takes, in rows.
    height: f64,
}

/// An edge that passes needs less room than a node.
const PASSING: f64 = 0.4;

/// Lays out `count` nodes. Every edge goes from a lower to a higher number; nodes keep their order where nothing speaks
/// against it, so that equal graphs look alike.
pub(super) fn layout(count: usize, edges: &[(usize, usize)]) -> Layout {
    let mut layer = vec![0; count];
    for (from, to) in sorted(edges) {
        layer[to] = layer[to].max(layer[from] + 1);
    }
    let mut places: Vec<Place> = layer.iter().map(|layer| place(*layer, 1.0)).collect();
    let mut chains = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        let mut chain = vec![*from];
        for between in layer[*from] + 1..layer[*to] {
            chain.push(places.len());
            places.push(place(between, PASSING));
        }
        chain.push(*to);
        for pair in chain.windows(2) {
            places[pair[0]].after.push(pair[1]);
            places[pair[1]].before.push(pair[0]);
        }
        chains.push(chain);
    }
    let layers = layer.iter().max().map_or(0, |last| last + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layers];
    for (index, place) in places.iter().enumerate() {
        rows[place.layer].push(index);
    }
    order(&mut rows, &mut places);
    straighten(&rows, &mut places);
    let at = |index: &usize| (places[*index].layer, places[*index].y);
    Layout {
        nodes: (0..count).map(|node| at(&node)).collect(),
        ways: chains
            .iter()
            .map(|chain| chain.iter().map(at).collect())
            .collect(),
        layers,
    }
}

fn sorted(edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut edges = edges.to_vec();
    edges.sort_unstable();
    edges
}

fn place(layer: usize, height: f64) -> Place {
    Place {
        layer,
        y: 0.0,
        before: Vec::new(),
        after: Vec::new(),
        height,
    }
}

/// Orders each layer by where its neighbours stand, to and fro, and keeps the order with the fewest crossings.
fn order(rows: &mut [Vec<usize>], places: &mut [Place]) {
    number(rows, places);
    let mut best = (crossings(rows, places), rows.to_vec());
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        let layers: Vec<usize> = match forward {
            true => (0..rows.len()).collect(),
            false => (0..rows.len()).rev().collect(),
        };
        for layer in layers {
            let row = &mut rows[layer];
            let wanted = |index: &usize| {
                let place = &places[*index];
                let near = if forward { &place.before } else { &place.after };
                mean(near, places).unwrap_or(place.y)
            };
            let mut keyed: Vec<(f64, usize)> = row.iter().map(|i| (wanted(i), *i)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *row = keyed.into_iter().map(|(_, index)| index).collect();
            for (y, index) in row.iter().enumerate() {
                places[*index].y = y as f64;
            }
        }
        let found = crossings(rows, places);
        if found < best.0 {
            best = (found, rows.to_vec());
        }
    }
    rows.clone_from_slice(&best.1);
    number(rows, places);
}

fn number(rows: &[Vec<usize>], places: &mut [Place]) {
    for row in rows {
        for (y, index) in row.iter().enumerate() {
            places[*index].y = y as f64;
        }
    }
}

fn mean(near: &[usize], places: &[Place]) -> Option<f64> {
    let sum: f64 = near.iter().map(|index| places[*index].y).sum();
    (!near.is_empty()).then(|| sum / near.len() as f64)
}

fn crossings(rows: &[Vec<usize>], places: &[Place]) -> usize {
    let mut count = 0;
    for row in rows {
        let mut ends: Vec<(f64, f64)> = Vec::new();
        for index in row {
            let place = &places[*index];
            ends.extend(place.after.iter().map(|to| (place.y, places[*to].y)));
        }
        for (i, a) in ends.iter().enumerate() {
            let crossed = ends[i + 1..]
                .iter()
                .filter(|b| (a.0 - b.0) * (a.1 - b.1) < 0.0);
            count += crossed.count();
        }
    }
    count
}

/// Moves the places of each layer as near as can be to the middle of their neighbours without a change of order.
fn straighten(rows: &[Vec<usize>], places: &mut [Place]) {
    for row in rows {
        let wanted: Vec<f64> = row.iter().map(|index| places[*index].y).collect();
        settle(row, &wanted, places);
    }
    for sweep in 0..SWEEPS {
        let layers: Vec<usize> = match sweep % 2 {
            0 => (0..rows.len()).collect(),
            _ => (0..rows.len()).rev().collect(),
        };
        for layer in layers {
            let row = &rows[layer];
            let wanted: Vec<f64> = row
                .iter()
                .map(|index| {
                    let place = &places[*index];
                    let near: Vec<usize> =
                        place.before.iter().chain(&place.after).copied().collect();
                    mean(&near, places).unwrap_or(place.y)
                })
                .collect();
            settle(row, &wanted, places);
        }
    }
    let top = places.iter().map(|place| place.y - place.height / 2.0);
    let top = top.fold(f64::INFINITY, f64::min);
    for place in places {
        place.y -= top;
    }
}

/// Places a row with the least sum of squared distances to `wanted` that leaves each its room: pooled neighbours move as one.
fn settle(row: &[usize], wanted: &[f64], places: &mut [Place]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(row.len());
    for (i, index) in row.iter().enumerate() {
        if i > 0 {
            offset += (places[row[i - 1]].height + places[*index].height) / 2.0;
        }
        offsets.push(offset);
    }
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        pools.push((wanted - offset, 1));
        while let [.., (a, n), (b, m)] = pools.as_slice()
            && a > b
        {
            let merged = ((a * *n as f64 + b * *m as f64) / (n + m) as f64, n + m);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    let values = pools
        .iter()
        .flat_map(|(value, count)| std::iter::repeat_n(*value, *count));
    for ((index, value), offset) in row.iter().zip(values).zip(&offsets) {
        places[*index].y = value + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_follow_the_longest_path_and_rows_do_not_overlap() {
        let edges = [(0, 2), (1, 2), (2, 4), (0, 4), (3, 4)];
        let found = layout(5, &edges);
        let layers: Vec<usize> = found.nodes.iter().map(|node| node.0).collect();
        assert_eq!((layers, found.layers), (vec![0, 0, 1, 0, 2], 3));
        // The edge that passes a layer goes through it beside the node there.
        assert_eq!(found.ways[3].len(), 3);
        let gap = (found.ways[3][1].1 - found.nodes[2].1).abs();
        assert!(gap >= (1.0 + PASSING) / 2.0 - 1e-9, "{gap}");
        for (i, a) in found.nodes.iter().enumerate() {
            for b in &found.nodes[i + 1..] {
                assert!(a.0 != b.0 || (a.1 - b.1).abs() >= 1.0 - 1e-9, "{a:?} {b:?}");
            }
        }
        assert_eq!(found, layout(5, &edges), "the same graph looks the same");
    }

    #[test]
    fn crossings_that_can_be_avoided_are() {
        // Two chains whose second nodes are numbered the other way round.
        let found = layout(4, &[(0, 3), (1, 2)]);
        let y = |node: usize| found.nodes[node].1;
        assert!((y(0) - y(1)) * (y(3) - y(2)) > 0.0, "{found:?}");
        assert_eq!(layout(0, &[]).layers, 0);
    }
}
