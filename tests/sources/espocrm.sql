CREATE TABLE contact (
    id varchar(17) NOT NULL PRIMARY KEY, deleted tinyint(1) DEFAULT 0, salutation_name varchar(255),
    first_name varchar(100) DEFAULT '', last_name varchar(100) DEFAULT '', description mediumtext,
    do_not_call tinyint(1) NOT NULL DEFAULT 0, address_street varchar(255),
    address_city varchar(100), address_state varchar(100), address_country varchar(100),
    address_postal_code varchar(40), created_at datetime, modified_at datetime,
    account_id varchar(17), campaign_id varchar(17));
CREATE TABLE account (
    id varchar(17) NOT NULL PRIMARY KEY, name varchar(249), deleted tinyint(1) DEFAULT 0,
    website varchar(255), type varchar(255), industry varchar(255),
    billing_address_street varchar(255), billing_address_city varchar(100),
    billing_address_state varchar(100), billing_address_country varchar(100),
    billing_address_postal_code varchar(40), description mediumtext, created_at datetime,
    modified_at datetime);
CREATE TABLE email_address (
    id varchar(17) NOT NULL PRIMARY KEY, name varchar(255), deleted tinyint(1) DEFAULT 0,
    `lower` varchar(255), invalid tinyint(1) NOT NULL DEFAULT 0,
    opt_out tinyint(1) NOT NULL DEFAULT 0);
CREATE TABLE entity_email_address (
    id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, entity_id varchar(17),
    email_address_id varchar(17), entity_type varchar(100), `primary` tinyint(1) DEFAULT 0,
    deleted tinyint(1) DEFAULT 0);
CREATE TABLE phone_number (
    id varchar(17) NOT NULL PRIMARY KEY, name varchar(36), deleted tinyint(1) DEFAULT 0,
    type varchar(255), `numeric` varchar(36), invalid tinyint(1) NOT NULL DEFAULT 0,
    opt_out tinyint(1) NOT NULL DEFAULT 0);
CREATE TABLE entity_phone_number (
    id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, entity_id varchar(17),
    phone_number_id varchar(17), entity_type varchar(100), `primary` tinyint(1) DEFAULT 0,
    deleted tinyint(1) DEFAULT 0);
CREATE TABLE opportunity (
    id varchar(17) NOT NULL PRIMARY KEY, name varchar(255), deleted tinyint(1) DEFAULT 0,
    amount double, amount_currency varchar(3), stage varchar(255), probability int,
    lead_source varchar(255), close_date date, description mediumtext, created_at datetime,
    modified_at datetime, account_id varchar(17), contact_id varchar(17));
CREATE TABLE `case` (
    id varchar(17) NOT NULL PRIMARY KEY, name varchar(255), deleted tinyint(1) DEFAULT 0,
    number int NOT NULL AUTO_INCREMENT UNIQUE, status varchar(255), priority varchar(255),
    type varchar(255), description mediumtext, created_at datetime, modified_at datetime,
    account_id varchar(17), lead_id varchar(17), contact_id varchar(17));
