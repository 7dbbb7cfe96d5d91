CREATE TABLE vtiger_crmentity (
    crmid int(19) NOT NULL PRIMARY KEY, smcreatorid int(19) NOT NULL DEFAULT 0,
    smownerid int(19) NOT NULL DEFAULT 0, modifiedby int(19) NOT NULL DEFAULT 0,
    setype varchar(100) NOT NULL, description mediumtext, createdtime datetime NOT NULL,
    modifiedtime datetime NOT NULL, viewedtime datetime, status varchar(50),
    version int(19) NOT NULL DEFAULT 0, presence int(1) DEFAULT 1, deleted int(1) NOT NULL DEFAULT 0,
    label varchar(255), source varchar(100));
CREATE TABLE vtiger_contactdetails (
    contactid int(19) NOT NULL PRIMARY KEY, contact_no varchar(100) NOT NULL, accountid int(19),
    salutation varchar(200), firstname varchar(40), lastname varchar(80) NOT NULL,
    email varchar(100), phone varchar(50), mobile varchar(50), title varchar(50),
    department varchar(30), donotcall varchar(3), emailoptout varchar(3) DEFAULT '0');
CREATE TABLE vtiger_contactsubdetails (
    contactsubscriptionid int(19) NOT NULL PRIMARY KEY, homephone varchar(50),
    otherphone varchar(50), birthday date, leadsource varchar(200));
CREATE TABLE vtiger_contactaddress (
    contactaddressid int(19) NOT NULL PRIMARY KEY, mailingcity varchar(40),
    mailingstreet varchar(250), mailingcountry varchar(40), mailingstate varchar(30),
    mailingpobox varchar(30), mailingzip varchar(30));
CREATE TABLE vtiger_account (
    accountid int(19) NOT NULL PRIMARY KEY, account_no varchar(100) NOT NULL,
    accountname varchar(100) NOT NULL, parentid int(19) DEFAULT 0, account_type varchar(200),
    industry varchar(200), annualrevenue decimal(25,8), phone varchar(30), otherphone varchar(30),
    email1 varchar(100), email2 varchar(100), website varchar(100),
    emailoptout varchar(3) DEFAULT '0');
CREATE TABLE vtiger_accountbillads (
    accountaddressid int(19) NOT NULL PRIMARY KEY, bill_city varchar(30), bill_code varchar(30),
    bill_country varchar(30), bill_state varchar(30), bill_street varchar(250),
    bill_pobox varchar(30));
CREATE TABLE vtiger_products (
    productid int(11) NOT NULL PRIMARY KEY, product_no varchar(100) NOT NULL,
    productname varchar(255), productcode varchar(40), productcategory varchar(200),
    manufacturer varchar(200), qty_per_unit decimal(11,2), unit_price decimal(25,8),
    sales_start_date date, sales_end_date date, discontinued int(1) NOT NULL DEFAULT 0,
    qtyinstock decimal(25,3), vendor_id int(11), currency_id int(19) NOT NULL DEFAULT 1);
CREATE TABLE vtiger_service (
    serviceid int(11) NOT NULL PRIMARY KEY, service_no varchar(100) NOT NULL,
    servicename varchar(255) NOT NULL, servicecategory varchar(200), unit_price decimal(25,8),
    sales_start_date date, sales_end_date date, discontinued int(1) NOT NULL DEFAULT 0);
CREATE TABLE vtiger_currency_info (
    id int(11) NOT NULL PRIMARY KEY, currency_name varchar(100), currency_code varchar(100),
    currency_symbol varchar(30), conversion_rate decimal(12,5), currency_status varchar(25),
    defaultid varchar(10), deleted int(1) NOT NULL DEFAULT 0);
CREATE TABLE vtiger_salesorder (
    salesorderid int(19) NOT NULL PRIMARY KEY, subject varchar(100), quoteid int(19),
    salesorder_no varchar(100), contactid int(19), duedate date, adjustment decimal(25,8),
    total decimal(25,8), subtotal decimal(25,8), taxtype varchar(25), discount_percent decimal(25,3),
    discount_amount decimal(25,8), s_h_amount decimal(25,8), accountid int(19),
    sostatus varchar(200), currency_id int(19) NOT NULL DEFAULT 1,
    conversion_rate decimal(10,3) NOT NULL DEFAULT 1);
CREATE TABLE vtiger_inventoryproductrel (
    id int(19), productid int(19), sequence_no int(4), quantity decimal(25,3),
    listprice decimal(27,8), discount_percent decimal(7,3), discount_amount decimal(27,8),
    comment text, description text, incrementondel int(11) NOT NULL DEFAULT 0,
    lineitem_id int(11) NOT NULL AUTO_INCREMENT PRIMARY KEY, tax1 decimal(7,3));
CREATE TABLE vtiger_troubletickets (
    ticketid int(19) NOT NULL PRIMARY KEY, ticket_no varchar(100) NOT NULL, groupname varchar(100),
    parent_id varchar(100), product_id varchar(100), priority varchar(200), severity varchar(200),
    status varchar(200), category varchar(200), title varchar(255) NOT NULL, solution text,
    contact_id int(19));
