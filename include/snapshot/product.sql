-- What a source does not say of stock, kind and age is taken as: in stock, a product, for everybody.
SELECT source || ':' || source_id AS product_id, source, name, description, category, subcategory,
       brand, supplier, price, cost, currency,
       coalesce(in_stock, true) AS in_stock,
       coalesce(is_product, true) AS is_product,
       coalesce(age_restricted, false) AS age_restricted,
       (available_from AT TIME ZONE {zone})::date AS available_on,
       (discontinued_at AT TIME ZONE {zone})::date AS discontinued_on
FROM landing.product p
WHERE deleted_at IS NULL
ORDER BY source COLLATE "C", source_id COLLATE "C"
