-- The surface factors as a series.
SELECT event_time, level, skew, curvature, term_structure, pca_1, pca_2, surface_shock
FROM features.surface_factors
WHERE asset = 'BTC'
ORDER BY event_time
