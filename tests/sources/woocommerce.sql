CREATE TABLE wp_wc_customer_lookup (
    customer_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id bigint unsigned DEFAULT NULL UNIQUE, username varchar(60) DEFAULT '' NOT NULL,
    first_name varchar(255) NOT NULL, last_name varchar(255) NOT NULL, email varchar(100) NULL,
    date_last_active timestamp NULL, date_registered timestamp NULL,
    country char(2) DEFAULT '' NOT NULL, postcode varchar(20) DEFAULT '' NOT NULL,
    city varchar(100) DEFAULT '' NOT NULL, state varchar(100) DEFAULT '' NOT NULL);
CREATE TABLE wp_wc_orders (
    id bigint unsigned PRIMARY KEY, status varchar(20), currency varchar(10), type varchar(20),
    tax_amount decimal(26,8), total_amount decimal(26,8), customer_id bigint unsigned,
    billing_email varchar(320), date_created_gmt datetime, date_updated_gmt datetime,
    parent_order_id bigint unsigned, payment_method varchar(100), customer_note text);
CREATE TABLE wp_wc_order_addresses (
    id bigint unsigned AUTO_INCREMENT PRIMARY KEY, order_id bigint unsigned NOT NULL,
    address_type varchar(20), first_name text, last_name text, company text, address_1 text,
    address_2 text, city text, state text, postcode text, country text, email varchar(320),
    phone varchar(100), UNIQUE (address_type, order_id));
CREATE TABLE wp_wc_order_stats (
    order_id bigint unsigned NOT NULL PRIMARY KEY, parent_id bigint unsigned DEFAULT 0 NOT NULL,
    date_created datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    date_created_gmt datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    date_paid datetime DEFAULT '0000-00-00 00:00:00',
    date_completed datetime DEFAULT '0000-00-00 00:00:00', num_items_sold int DEFAULT 0 NOT NULL,
    total_sales double DEFAULT 0 NOT NULL, net_total double DEFAULT 0 NOT NULL,
    returning_customer tinyint(1), status varchar(20) NOT NULL, customer_id bigint unsigned NOT NULL);
CREATE TABLE wp_wc_order_product_lookup (
    order_item_id bigint unsigned NOT NULL, order_id bigint unsigned NOT NULL,
    product_id bigint unsigned NOT NULL, variation_id bigint unsigned NOT NULL,
    customer_id bigint unsigned, date_created datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    product_qty int NOT NULL, product_net_revenue double DEFAULT 0 NOT NULL,
    product_gross_revenue double DEFAULT 0 NOT NULL, coupon_amount double DEFAULT 0 NOT NULL,
    tax_amount double DEFAULT 0 NOT NULL, PRIMARY KEY (order_item_id, order_id));
CREATE TABLE wp_wc_product_meta_lookup (
    product_id bigint NOT NULL PRIMARY KEY, sku varchar(100) DEFAULT '',
    min_price decimal(19,4), max_price decimal(19,4), onsale tinyint(1) DEFAULT 0,
    stock_quantity double, stock_status varchar(100) DEFAULT 'instock',
    rating_count bigint DEFAULT 0, average_rating decimal(3,2) DEFAULT 0.00,
    total_sales bigint DEFAULT 0);
CREATE TABLE wp_posts (
    ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    post_author bigint unsigned DEFAULT 0 NOT NULL,
    post_date datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    post_date_gmt datetime DEFAULT '0000-00-00 00:00:00' NOT NULL, post_content longtext NOT NULL,
    post_title text NOT NULL, post_excerpt text NOT NULL,
    post_status varchar(20) DEFAULT 'publish' NOT NULL,
    post_modified_gmt datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    post_parent bigint unsigned DEFAULT 0 NOT NULL, post_type varchar(20) DEFAULT 'post' NOT NULL);
CREATE TABLE wp_terms (
    term_id bigint unsigned NOT NULL PRIMARY KEY, name varchar(200) DEFAULT '' NOT NULL,
    slug varchar(200) DEFAULT '' NOT NULL);
CREATE TABLE wp_term_taxonomy (
    term_taxonomy_id bigint unsigned NOT NULL PRIMARY KEY, term_id bigint unsigned NOT NULL,
    taxonomy varchar(32) DEFAULT '' NOT NULL, parent bigint unsigned DEFAULT 0 NOT NULL);
CREATE TABLE wp_term_relationships (
    object_id bigint unsigned NOT NULL, term_taxonomy_id bigint unsigned NOT NULL,
    term_order int DEFAULT 0 NOT NULL, PRIMARY KEY (object_id, term_taxonomy_id));
CREATE TABLE wp_comments (
    comment_ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    comment_post_ID bigint unsigned DEFAULT 0 NOT NULL, comment_author tinytext NOT NULL,
    comment_author_email varchar(100) DEFAULT '' NOT NULL,
    comment_date datetime DEFAULT '0000-00-00 00:00:00' NOT NULL,
    comment_date_gmt datetime DEFAULT '0000-00-00 00:00:00' NOT NULL, comment_content text NOT NULL,
    comment_approved varchar(20) DEFAULT '1' NOT NULL,
    comment_type varchar(20) DEFAULT 'comment' NOT NULL,
    comment_parent bigint unsigned DEFAULT 0 NOT NULL, user_id bigint unsigned DEFAULT 0 NOT NULL);
CREATE TABLE wp_commentmeta (
    meta_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    comment_id bigint unsigned DEFAULT 0 NOT NULL, meta_key varchar(255), meta_value longtext);
