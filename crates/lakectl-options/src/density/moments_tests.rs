use super::*;
use crate::density::density;
use crate::smile::{Range, RawSvi};
use crate::surface::{Slice, Surface, SurfaceSmile};
use proptest::prelude::*;

const fn svi([a, b, rho, m, sigma]: [f64; 5]) -> RawSvi {
    RawSvi {
        a,
        b,
        rho,
        m,
        sigma,
    }
}

const VOGT: RawSvi = svi([-0.041, 0.1331, 0.306, 0.3586, 0.4153]);

/// A fitted smile between two recorded expiries of BTC.
fn recorded(days: f64, slices: [(f64, [f64; 5]); 2]) -> SurfaceSmile {
    let slices = slices.map(|(expiry_years, parameters)| Slice {
        expiry_years,
        forward: 100.0,
        svi: svi(parameters),
        quoted: Range::WHOLE,
    });
    let surface = Surface::new(slices.to_vec()).unwrap();
    surface.smile_at(days / 365.0).unwrap()
}

/// 2026-01-04 15:27, one day: a kink of a ten-thousandth of log moneyness in the nearer slice.
fn kinked() -> SurfaceSmile {
    let near = [
        0.000_333_597_165_946_992_9,
        0.003_958_465_261_804_691,
        -0.553_080_308_762_746_5,
        -0.013_605_949_223_795_71,
        0.000_116_084_924_972_371_91,
    ];
    let far = [
        0.000_842_084_302_064_829_9,
        0.006_730_844_223_523_831,
        -0.571_488_897_007_815_2,
        -0.028_430_633_723_045_995,
        0.009_122_807_709_235_398,
    ];
    recorded(
        1.0,
        [
            (0.001_888_630_537_290_715_5, near),
            (0.004_628_356_564_687_975, far),
        ],
    )
}

/// 2026-01-22 09:26, one day: the density is negative between two positive parts, far out in the call wing.
fn torn() -> SurfaceSmile {
    let near = [
        -0.002_273_438_832_690_518_6,
        0.040_480_213_912_310_62,
        0.562_634_921_096_058_6,
        0.064_038_779_243_397_4,
        0.076_882_826_877_998_91,
    ];
    let far = [
        -0.043_687_572_587_086_22,
        2.024_854_474_463_788_6,
        0.973_203_308_154_387_6,
        0.420_241_032_362_996_04,
        0.095_222_360_185_090_87,
    ];
    recorded(
        1.0,
        [
            (0.002_574_757_784_912_481, near),
            (0.005_314_483_812_309_741, far),
        ],
    )
}

/// 2026-02-07 09:24, seven days: negative density, and two thirds of the log contract beyond every price.
fn bottomless() -> SurfaceSmile {
    let near = [
        -0.163_372_075_832_159_3,
        0.253_225_856_606_951_5,
        -0.310_792_818_597_642_13,
        -0.144_485_881_808_450_32,
        0.702_820_132_852_357_1,
    ];
    let far = [
        -0.926_652_316_463_093_8,
        2.131_391_636_747_200_6,
        -0.876_708_123_948_799_5,
        -1.533_678_745_847_386_8,
        0.914_039_068_693_139_2,
    ];
    recorded(
        7.0,
        [
            (0.016_277_923_753_424_66, near),
            (0.035_456_005_945_205_48, far),
        ],
    )
}

/// 2026-03-27 15:59, the expiry of 2026-12-25: no arbitrage anywhere, and a hundredth of the mass below `exp(-12)`.
const DECEMBER: RawSvi = svi([
    -2.683_387_685_062_304_4,
    0.884_316_583_179_173_5,
    -0.217_595_465_463_832_9,
    -0.325_896_487_806_110_7,
    3.324_387_885_921_416_4,
]);

/// Integral over all `k`: the trapezoid rule in `asinh(k / 0.01)`, another rule than the one under test.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    const HALF: i32 = 400_000;
    let step = libm::asinh(3e6) / f64::from(HALF);
    let term = |i: i32| {
        let u = step * f64::from(i);
        f(0.01 * libm::sinh(u)) * 0.01 * libm::cosh(u)
    };
    step * (-HALF..=HALF).map(term).sum::<f64>()
}

/// Total variance of a log contract: twice the out-of-the-money options over all strikes, each over its strike squared.
fn strip(smile: &impl Smile) -> f64 {
    2.0 * integral(|k| {
        let s = smile.total_variance(k).sqrt();
        let (d1, d2) = (-k / s + 0.5 * s, -k / s - 0.5 * s);
        if k < -30.0 {
            cdf(-d2) - pdf(d2) * mills(d1)
        } else if k < 0.0 {
            cdf(-d2) - libm::exp(-k) * cdf(-d1)
        } else {
            libm::exp(-k) * cdf(d1) - cdf(d2)
        }
    })
}

/// `N(-x) / n(x)` for large `x`, by its continued fraction.
fn mills(x: f64) -> f64 {
    1.0 / (1..=60).rev().fold(x, |tail, i| x + f64::from(i) / tail)
}

fn power(smile: &impl Smile, n: i32) -> f64 {
    integral(|k| density(smile, k).unwrap() * k.powi(n))
}

/// All moments against the other rule, the mean against the strip.
fn agree(smile: &impl Smile, tolerance: f64) {
    let found = moments(smile).unwrap().log_return.unwrap();
    assert!(
        (-2.0 * found.mean / strip(smile) - 1.0).abs() < tolerance,
        "{found:?}"
    );
    let [m1, m2, m3, m4] = [1, 2, 3, 4].map(|n| power(smile, n));
    let spread = m2 - m1 * m1;
    let third = m3 - 3.0 * m1 * m2 + 2.0 * m1.powi(3);
    let fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1 * m1 * m2 - 3.0 * m1.powi(4);
    let pairs = [
        (found.mean, m1),
        (found.variance, spread),
        (found.skewness, third / spread.powf(1.5)),
        (found.kurtosis, fourth / (spread * spread)),
    ];
    for (found, exact) in pairs {
        assert!(
            (found - exact).abs() < tolerance * (1.0 + exact.abs()),
            "{found} {exact}"
        );
    }
}

#[test]
fn recorded_smiles_agree_with_the_strip_and_with_another_rule() {
    agree(&kinked(), 1e-7);
    agree(&torn(), 1e-7);
    agree(&bottomless(), 1e-7);
    agree(&DECEMBER, 1e-7);
    agree(&VOGT, 1e-7);
}

#[test]
fn a_sound_smile_with_a_narrow_kink_has_mass_one() {
    let found = moments(&kinked()).unwrap();
    assert!(
        found.mass_error() < 1e-12 && found.mean_error() < 1e-12,
        "{found:?}"
    );
    assert_eq!(found.negative_mass, 0.0);
    let swap = found
        .log_return
        .unwrap()
        .variance_swap_vol(1.0 / 365.0)
        .unwrap();
    assert!((swap - 0.456_610_865).abs() < 1e-8, "{swap}");
}

#[test]
fn negative_parts_are_counted_and_not_cut_off() {
    let vogt = moments(&VOGT).unwrap();
    assert!((vogt.negative_mass - 4.28e-5).abs() < 1e-7, "{vogt:?}");
    assert!(
        vogt.mass_error() < 1e-12 && vogt.mean_error() < 1e-12,
        "{vogt:?}"
    );
    let found = moments(&torn()).unwrap();
    assert!(
        (found.negative_mass - 0.007_509_687).abs() < 1e-9,
        "{found:?}"
    );
    let swap = found
        .log_return
        .unwrap()
        .variance_swap_vol(1.0 / 365.0)
        .unwrap();
    assert!((swap - 1.003_515_629).abs() < 1e-8, "{swap}");
    // The closed form between the zeros is the integral of the negative part.
    for smile in [torn(), bottomless()] {
        let found = moments(&smile).unwrap().negative_mass;
        let exact = integral(|k| (-density(&smile, k).unwrap()).max(0.0));
        assert!((found - exact).abs() < 1e-8, "{found} {exact}");
    }
}

#[test]
fn what_lies_beyond_every_price_is_said() {
    let found = moments(&bottomless()).unwrap();
    assert!((found.mass - 0.994_741_892).abs() < 1e-8, "{found:?}");
    let beyond = found.log_return.unwrap().beyond;
    assert!((beyond.first - 0.7072).abs() < 1e-4 && (beyond.fourth - 0.9439).abs() < 1e-4);
    let found = moments(&DECEMBER).unwrap();
    assert!((found.mass - 0.990_292_379).abs() < 1e-8, "{found:?}");
    let whole = found.log_return.unwrap();
    let swap = whole.variance_swap_vol(0.747_033_409_709_950_6).unwrap();
    assert!((swap - 0.981_693_238).abs() < 1e-8, "{swap}");
    assert!(whole.beyond.first > 0.3 && found.negative_mass == 0.0);
}

#[test]
fn a_wing_beyond_lees_bound_has_no_moments() {
    // A slope of 2.4 in the put wing: put prices do not vanish with the strike, the density's mass is zero.
    let steep = svi([0.01, 1.5, -0.6, 0.0, 0.1]);
    let found = moments(&steep).unwrap();
    assert!(
        found.mass_error() > 0.01 && found.log_return.is_none(),
        "{found:?}"
    );
    let steep = svi([0.01, 1.5, 0.6, 0.0, 0.1]);
    assert!(moments(&steep).unwrap().mean_error() > 0.001);
}

#[test]
fn a_smile_with_positive_variance_has_an_answer() {
    let smile = svi([
        -0.022_900_6,
        0.189_369_5,
        -0.320_660_2,
        -0.022_198_4,
        0.129_543_5,
    ]);
    assert!(smile.min_variance() > 0.0);
    let found = moments(&smile).unwrap();
    assert!(found.mass_error() < 1e-8, "{found:?}");
    let below = RawSvi {
        a: -0.0235,
        ..smile
    };
    assert!(below.min_variance() < 0.0);
    assert_eq!(moments(&below), Err(DensityError::NegativeVariance));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn moderate_smiles_agree_with_the_strip(
        level in 0.0005..0.3_f64, b in 0.0..0.6_f64, rho in -0.95..0.95_f64, m in -0.5..0.5_f64, sigma in 0.001..1.0_f64,
    ) {
        let smile = svi([level, b, rho, m, sigma]);
        if smile.butterfly().free {
            let found = moments(&smile).unwrap();
            prop_assert!(found.mass <= 1.0 + 1e-12 && found.negative_mass < 1e-14, "{smile:?} {found:?}");
            let mean = found.log_return.unwrap().mean;
            prop_assert!((-2.0 * mean / strip(&smile) - 1.0).abs() < 1e-6, "{smile:?} {found:?}");
        }
    }
}
