//! Nelder-Mead in two dimensions.

/// A point and its value.
pub(super) type Vertex = ([f64; 2], f64);

/// Minimises `f` from `start` with first steps `size`, for at most `budget` evaluations.
///
/// Deterministic; `f` may return infinity outside its domain but must not return NaN. Stops early
/// when the simplex is smaller than `tolerance` in both directions.
pub(super) fn minimise(
    mut f: impl FnMut([f64; 2]) -> f64,
    start: Vertex,
    size: [f64; 2],
    budget: u32,
    tolerance: f64,
) -> Vertex {
    let at = |f: &mut dyn FnMut([f64; 2]) -> f64, x: [f64; 2]| (x, f(x));
    let [x, y] = start.0;
    let mut simplex = [
        start,
        at(&mut f, [x + size[0], y]),
        at(&mut f, [x, y + size[1]]),
    ];
    let mut used = 2;
    while used < budget {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let [best, middle, worst] = simplex;
        let spread = |i: usize| {
            (worst.0[i] - best.0[i])
                .abs()
                .max((middle.0[i] - best.0[i]).abs())
        };
        if spread(0) < tolerance && spread(1) < tolerance {
            break;
        }
        let centre = [0, 1].map(|i| 0.5 * (best.0[i] + middle.0[i]));
        let along = |t: f64| [0, 1].map(|i| centre[i] + t * (worst.0[i] - centre[i]));
        let reflected = at(&mut f, along(-1.0));
        used += 1;
        if reflected.1 < best.1 {
            let expanded = at(&mut f, along(-2.0));
            used += 1;
            simplex[2] = if expanded.1 < reflected.1 {
                expanded
            } else {
                reflected
            };
        } else if reflected.1 < middle.1 {
            simplex[2] = reflected;
        } else {
            let outside = reflected.1 < worst.1;
            let contracted = at(&mut f, along(if outside { -0.5 } else { 0.5 }));
            used += 1;
            if contracted.1 < worst.1.min(reflected.1) {
                simplex[2] = contracted;
            } else {
                for vertex in &mut simplex[1..] {
                    *vertex = at(&mut f, [0, 1].map(|i| 0.5 * (best.0[i] + vertex.0[i])));
                }
                used += 2;
            }
        }
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_curved_valley() {
        let f = |[x, y]: [f64; 2]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
        let start = [-1.2, 1.0];
        let (x, value) = minimise(f, (start, f(start)), [0.5, 0.5], 400, 1e-12);
        assert!((x[0] - 1.0).abs() < 1e-6 && value < 1e-12, "{x:?} {value}");
    }
}
