CREATE TABLE res_country (
    id serial PRIMARY KEY, currency_id int, code varchar(2), name jsonb, create_date timestamp,
    write_date timestamp);
CREATE TABLE res_country_state (
    id serial PRIMARY KEY, country_id int, name varchar, code varchar, create_date timestamp,
    write_date timestamp);
CREATE TABLE res_currency (
    id serial PRIMARY KEY, name varchar(3), symbol varchar, rounding numeric, active boolean,
    create_date timestamp, write_date timestamp);
CREATE TABLE res_partner (
    id serial PRIMARY KEY, company_id int, create_date timestamp, name varchar, title int,
    parent_id int, user_id int, state_id int, country_id int, commercial_partner_id int,
    write_date timestamp, complete_name varchar, ref varchar, lang varchar, tz varchar,
    type varchar, street varchar, street2 varchar, zip varchar, city varchar, email varchar,
    phone varchar, mobile varchar, commercial_company_name varchar, company_name varchar,
    comment text, active boolean, is_company boolean, partner_share boolean,
    email_normalized varchar);
CREATE TABLE res_company (id serial PRIMARY KEY, name varchar, partner_id int);
CREATE TABLE mail_blacklist (
    id serial PRIMARY KEY, email varchar, active boolean, create_date timestamp,
    write_date timestamp);
CREATE TABLE product_category (
    id serial PRIMARY KEY, parent_id int, name varchar, complete_name varchar, parent_path varchar,
    create_date timestamp, write_date timestamp);
CREATE TABLE product_template (
    id serial PRIMARY KEY, sequence int, categ_id int, uom_id int, type varchar, default_code varchar,
    name jsonb, description jsonb, description_sale jsonb, list_price numeric, sale_ok boolean,
    purchase_ok boolean, active boolean, create_date timestamp, write_date timestamp);
CREATE TABLE product_product (
    id serial PRIMARY KEY, product_tmpl_id int, default_code varchar, barcode varchar,
    combination_indices varchar, active boolean, create_date timestamp, write_date timestamp);
CREATE TABLE sale_order (
    id serial PRIMARY KEY, partner_id int, partner_invoice_id int, partner_shipping_id int,
    currency_id int, name varchar, client_order_ref varchar, state varchar, invoice_status varchar,
    amount_untaxed numeric, amount_tax numeric, amount_total numeric, date_order timestamp,
    create_date timestamp, write_date timestamp);
CREATE TABLE sale_order_line (
    id serial PRIMARY KEY, order_id int, sequence int, product_id int, product_uom int,
    order_partner_id int, state varchar, display_type varchar, name text, product_uom_qty numeric,
    price_unit numeric, discount numeric, price_subtotal numeric, price_total numeric,
    price_tax float8, qty_delivered numeric, is_downpayment boolean, create_date timestamp,
    write_date timestamp);
CREATE TABLE rating_rating (
    id serial PRIMARY KEY, res_model_id int, res_id int, parent_res_model_id int, parent_res_id int,
    rated_partner_id int, partner_id int, message_id int, res_name varchar, res_model varchar,
    rating_text varchar, access_token varchar, feedback text, is_internal boolean, consumed boolean,
    create_date timestamp, write_date timestamp, rating float8);
