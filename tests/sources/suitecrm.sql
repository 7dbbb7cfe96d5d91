CREATE TABLE contacts (
    id char(36) NOT NULL PRIMARY KEY, date_entered datetime, date_modified datetime,
    modified_user_id char(36), created_by char(36), description text, deleted tinyint(1) DEFAULT 0,
    assigned_user_id char(36), salutation varchar(255), first_name varchar(100),
    last_name varchar(100), title varchar(100), do_not_call tinyint(1) DEFAULT 0,
    phone_home varchar(100), phone_mobile varchar(100), phone_work varchar(100),
    phone_other varchar(100), primary_address_street varchar(150),
    primary_address_city varchar(100), primary_address_state varchar(100),
    primary_address_postalcode varchar(20), primary_address_country varchar(255),
    lead_source varchar(255), reports_to_id char(36), birthdate date, campaign_id char(36));
CREATE TABLE accounts (
    id char(36) NOT NULL PRIMARY KEY, name varchar(150), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0, account_type varchar(50),
    industry varchar(50), annual_revenue varchar(100), billing_address_street varchar(150),
    billing_address_city varchar(100), billing_address_state varchar(100),
    billing_address_postalcode varchar(20), billing_address_country varchar(255),
    phone_office varchar(100), phone_alternate varchar(100), website varchar(255),
    parent_id char(36));
CREATE TABLE accounts_contacts (
    id varchar(36) NOT NULL PRIMARY KEY, contact_id varchar(36), account_id varchar(36),
    date_modified datetime, deleted tinyint(1) DEFAULT 0);
CREATE TABLE email_addresses (
    id char(36) NOT NULL PRIMARY KEY, email_address varchar(255), email_address_caps varchar(255),
    invalid_email tinyint(1) DEFAULT 0, opt_out tinyint(1) DEFAULT 0,
    confirm_opt_in varchar(255) DEFAULT 'not-opt-in', date_created datetime, date_modified datetime,
    deleted tinyint(1) DEFAULT 0);
CREATE TABLE email_addr_bean_rel (
    id char(36) NOT NULL PRIMARY KEY, email_address_id char(36) NOT NULL, bean_id char(36) NOT NULL,
    bean_module varchar(100), primary_address tinyint(1) DEFAULT 0,
    reply_to_address tinyint(1) DEFAULT 0, date_created datetime, date_modified datetime,
    deleted tinyint(1) DEFAULT 0);
CREATE TABLE currencies (
    id char(36) NOT NULL PRIMARY KEY, name varchar(36), symbol varchar(36), iso4217 varchar(3),
    conversion_rate double DEFAULT 0, status varchar(100), deleted tinyint(1) DEFAULT 0,
    date_entered datetime, date_modified datetime, created_by char(36));
CREATE TABLE aos_product_categories (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0,
    is_parent tinyint(1) DEFAULT 0, parent_category_id char(36));
CREATE TABLE aos_products (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0,
    maincode varchar(100) DEFAULT 'XXXX', part_number varchar(25), category varchar(100),
    type varchar(100) DEFAULT 'Good', cost decimal(26,6), cost_usdollar decimal(26,6),
    currency_id char(36), price decimal(26,6), price_usdollar decimal(26,6), url varchar(255),
    contact_id char(36), product_image varchar(255), aos_product_category_id char(36));
CREATE TABLE aos_invoices (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0,
    billing_account_id char(36), billing_contact_id char(36), number int(11) NOT NULL,
    total_amt decimal(26,6), subtotal_amount decimal(26,6), discount_amount decimal(26,6),
    tax_amount decimal(26,6), shipping_amount decimal(26,6), total_amount decimal(26,6),
    currency_id char(36), quote_date date, invoice_date date, due_date date, status varchar(100));
CREATE TABLE aos_products_quotes (
    id char(36) NOT NULL PRIMARY KEY, name text, date_entered datetime, date_modified datetime,
    description text, deleted tinyint(1) DEFAULT 0, currency_id char(36), part_number varchar(255),
    item_description text, number int(11), product_qty decimal(18,4),
    product_cost_price decimal(26,6), product_list_price decimal(26,6),
    product_discount decimal(26,6), product_discount_amount decimal(26,6),
    discount varchar(255) DEFAULT 'Percentage', product_unit_price decimal(26,6),
    vat_amt decimal(26,6), product_total_price decimal(26,6), vat varchar(100) DEFAULT '5.0',
    parent_type varchar(100), parent_id char(36), product_id char(36), group_id char(36));
CREATE TABLE cases (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0,
    case_number int(11) NOT NULL AUTO_INCREMENT UNIQUE, type varchar(255), status varchar(100),
    priority varchar(100), resolution text, work_log text, account_id char(36),
    state varchar(100) DEFAULT 'Open', contact_created_by_id char(36));
CREATE TABLE aop_case_updates (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, description text, deleted tinyint(1) DEFAULT 0, case_id char(36),
    contact_id char(36), internal tinyint(1));
CREATE TABLE surveyquestions (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, deleted tinyint(1) DEFAULT 0, type varchar(100), sort_order int(255),
    happiness_question tinyint(1), survey_id char(36));
CREATE TABLE surveyresponses (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, deleted tinyint(1) DEFAULT 0, happiness int(11),
    email_response_sent tinyint(1), account_id char(36), campaign_id char(36), contact_id char(36),
    survey_id char(36));
CREATE TABLE surveyquestionresponses (
    id char(36) NOT NULL PRIMARY KEY, name varchar(255), date_entered datetime,
    date_modified datetime, deleted tinyint(1) DEFAULT 0, answer text, answer_bool tinyint(1),
    answer_datetime datetime, surveyquestion_id char(36), surveyresponse_id char(36));
