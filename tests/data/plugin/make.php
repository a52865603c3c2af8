<?php
// Writes vectors.json: bodies built and signed by PHP itself, as the store plugins build and sign theirs.
//
//     php make.php > vectors.json
//
// What is signed: the data with its key, without hmac, sorted by ksort, encoded by json_encode; HMAC-SHA256
// in base64. What is sent: the data in its own order with key and hmac put somewhere among it. Secrets and
// times are fixed, so the file is the same on every run. The stores, people and orders are invented.

declare(strict_types=1);

const KEY = 'lk_live_4f7Qx/Zü';
const SECRET = 's3cret-of-the-shop/ünïcode-öne';
const TIME = 1751371200;

/** The signature that a plugin computes, in base64. */
function signature(array $data, string $secret): string
{
    unset($data['hmac']);
    ksort($data);
    return base64_encode(hash_hmac('sha256', json_encode($data, JSON_THROW_ON_ERROR), $secret, true));
}

/** The data with its key and signature appended, as WooCommerce's plugin sends it. */
function appended(array $data, string $secret = SECRET): array
{
    $data['key'] = KEY;
    $data['hmac'] = signature($data, $secret);
    return $data;
}

/** The data sorted, with the signature last, as Magento's plugin sends it. */
function sorted(array $data, string $secret = SECRET): array
{
    $data['key'] = KEY;
    ksort($data);
    $data['hmac'] = signature($data, $secret);
    return $data;
}

/** The data with members put in front of it or among it. */
function inserted(array $data, int $at, array $more): array
{
    return array_slice($data, 0, $at, true) + $more + array_slice($data, $at, null, true);
}

/** One vector. `event` is set where the body is one of an event's route. */
function vector(string $name, array $body, ?string $event = null, int $flags = 0, bool $valid = true): array
{
    return [
        'name' => $name,
        'event' => $event,
        'secret' => SECRET,
        'body' => json_encode($body, $flags | JSON_THROW_ON_ERROR),
        'valid' => $valid,
    ];
}

/** Values of every kind, each in a small body of its own. */
function value_vectors(): array
{
    $values = [
        'slashes' => 'https://shop.example/a/b?c=d&e=f',
        'umlauts' => 'Jörg Müßiggänger, Ähre & Öl',
        'emoji' => "cake \u{1F370}, flag \u{1F1E9}\u{1F1EA}, family \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
        'cjk and right to left' => '北京市朝阳区 שלום مرحبا',
        'first and last of the planes' => "\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}",
        'line separators' => "a\u{2028}b\u{2029}c\u{85}d",
        'quotes and backslashes' => 'say "no\\yes" to C:\\new\\temp\\u00e9 \\/',
        'control characters' => implode('', array_map('chr', range(0, 31))),
        'delete' => "a\x7fb",
        'html' => "<script>alert('1' && \"2\")</script>",
        'a text like JSON' => '{"key":"x","hmac":"y","a":[1,2]}',
        'empty text' => '',
        'combining letters' => "e\u{301} and \u{e9}",
        'numbers as texts' => ['12.50', '007', '1e3', '-0', '1.0', ' 5', '9223372036854775808'],
        'integers' => [0, -1, 7, 4294967296, 9007199254740993, PHP_INT_MAX, PHP_INT_MIN],
        'floats' => [0.1, 19.99, 0.1 + 0.2, 1.0, -0.0, 100.0, 1 / 3, 33.333333333333336],
        'floats with exponents' => [1.0e25, 1.0e-7, 1.5e300, -2.5e-10, 7.1054273576010019e-15, 1.0e15],
        'booleans and null' => [true, false, null],
        'empty list' => [],
        'empty object' => new stdClass(),
        'nested empties' => [[], [[]], new stdClass(), ['a' => [], 'b' => new stdClass()], [[], [new stdClass()]]],
        'nested lists' => [[1, [2, [3, ['vier/ü']]]], [['x' => [['y' => ['z' => null]]]]]],
        'nested keys stay in order' => ['z' => 1, 'a' => 2, 'Z' => 3, '10' => 4, '9' => 5],
        'nested key and hmac' => ['key' => 'inner', 'hmac' => 'inner'],
        'a list with gaps' => [1 => 'one', 3 => 'three'],
        'nested keys in any script' => ['größe/€' => 1, "\u{1F370}" => 2, '' => 3, 'q"\\' => 4],
    ];
    $vectors = [];
    foreach ($values as $name => $value) {
        $vectors[] = vector($name, appended(['value' => $value, 'a' => 1]));
    }
    ini_set('serialize_precision', '17');
    $vectors[] = vector('floats in all their digits', appended(['value' => [0.1, 19.99, 0.1 + 0.2, 1.0e25]]));
    ini_set('serialize_precision', '-1');
    return $vectors;
}

/** Names of the outermost members, which are sorted. */
function name_vectors(): array
{
    $names = [
        'case and underscore' => ['b', 'B', 'a', 'A', '_a', 'a_b', 'aB', 'ab', 'a b'],
        'prefixes' => ['order_id', 'order', 'orders', 'order-id', 'order.id', 'order1', 'order10', 'order9'],
        'umlauts' => ['ä', 'a', 'z', 'é', 'ß', 'Ä'],
        'beyond the first plane' => ["\u{1F370}", "\u{ff5e}", "\u{e000}", "\u{10ffff}", 'z'],
        'slashes, quotes, controls' => ['a/b', 'a"b', 'a\\b', "a\nb", "a\x7fb", "a\u{1}b", 'ab'],
        'the empty name and signs' => ['', '-', '+', '.', '-a', '.a', '+.', ' ', ' a'],
        'around key and hmac' => ['hma', 'hmacs', 'Hmac', 'ke', 'keys', 'Key', 'KEY', 'l'],
    ];
    $vectors = [];
    foreach ($names as $name => $members) {
        $data = array_map(fn (int $index): array => ['n' => $index], array_flip($members));
        $vectors[] = vector("names: $name", appended($data));
        $vectors[] = vector("names: $name, the other way round", appended(array_reverse($data, true)));
    }
    return $vectors;
}

/** Where key and hmac stand, and how the body is encoded on its way. */
function place_vectors(): array
{
    $data = ['zip' => '01067', 'city' => 'Dresden/Sachsen', 'name' => 'Zoë 🎂', 'tags' => ['a/b', 'ü'], 'none' => []];
    $key = ['key' => KEY];
    $hmac = ['hmac' => signature($data + $key, SECRET)];
    $vectors = [
        vector('key and hmac last', $data + $key + $hmac),
        vector('hmac and key last', $data + $hmac + $key),
        vector('key and hmac first', $key + $hmac + $data),
        vector('hmac and key first', $hmac + $key + $data),
        vector('key first and hmac last', $key + $data + $hmac),
        vector('key and hmac in the midst', inserted($data, 2, $hmac + $key)),
        vector('key and hmac apart', inserted(inserted($data, 3, $hmac), 1, $key)),
        vector('sorted', sorted($data)),
        vector('nothing but a key', appended([])),
    ];
    $flags = [
        'slashes as they are' => JSON_UNESCAPED_SLASHES,
        'letters as they are' => JSON_UNESCAPED_UNICODE,
        'letters and line ends as they are' => JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS,
        'slashes and letters as they are' => JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE,
        'pretty printed' => JSON_PRETTY_PRINT,
        'pretty printed, slashes and letters as they are'
            => JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE,
    ];
    $text = $data + ['line' => "a\u{2028}b", 'größe' => 1, 'a/b' => "\u{1F370}\\/\"\n\x7f"];
    foreach ($flags as $name => $flag) {
        $vectors[] = vector($name, appended($text), null, $flag);
    }
    foreach (['/', '+'] as $sign) {
        for ($n = 0; !str_contains(appended(['n' => $n])['hmac'], $sign); $n++);
        $vectors[] = vector("a signature with a $sign", appended(['n' => $n]));
    }
    return $vectors;
}

/** A customer as WooCommerce's plugin sends one. */
function woo_customer(int|string $id): array
{
    return [
        'id' => $id,
        'email' => 'zoe.müller+shop@example.com',
        'first_name' => 'Zoë',
        'last_name' => "O'Müller",
        'birthday' => '',
        'default_address' => (object) ['zip' => '01067', 'country' => 'DE'],
    ];
}

/** A line as WooCommerce's plugin sends one. */
function woo_line(int $id, string $name, string $price, int|float $quantity, array $categories): array
{
    return [
        'product_id' => $id,
        'product_name' => $name,
        'product_price' => $price,
        'quantity' => $quantity,
        'categories' => array_map(
            fn (int $id, string $name): array => ['category_name' => $name, 'category_id' => $id],
            array_keys($categories),
            $categories,
        ),
    ];
}

/** An order as WooCommerce's plugin sends one. */
function woo_order(int $id, array $customer, array $lines, array $codes, array $totals): array
{
    [$total, $tax, $discounts, $subtotal] = $totals;
    return [
        'id' => $id,
        'total_price' => number_format($total, 2, '.', ''),
        'total_tax' => number_format($tax, 2, '.', ''),
        'total_discounts' => number_format($discounts, 2, '.', ''),
        'subtotal_price' => number_format($subtotal, 2, '.', ''),
        'taxes_included' => $tax > 0 ? 1 : 0,
        'discount_codes' => array_map(fn (string $code): object => (object) ['code' => $code], $codes),
        'customer' => (object) $customer,
        'products' => $lines,
        'ip_address' => '2001:db8::17',
    ];
}

function woo_vectors(): array
{
    $kitchen = [17 => 'Küche & Haushalt', 21 => 'Tassen/Becher'];
    $five = woo_order(1042, woo_customer(31), [
        woo_line(501, 'Tasse „Grüße aus Köln“ 0,3 l', '12.90', 2, $kitchen),
        woo_line(502, 'Teller 21/27 cm', '8.50', 6, $kitchen),
        woo_line(503, 'Kuchen 🍰 "Sacher"', '34.00', 1, [33 => 'Lebensmittel']),
        woo_line(504, 'Käse am Stück, je kg', '21.45', 0.375, [33 => 'Lebensmittel']),
        woo_line(505, 'Geschenkkarte', '25.00', 1, []),
    ], ['SOMMER10', 'größer'], [126.37, 18.52, 13.58, 102.95]);
    $guest = ['email' => 'guest@example.com', 'first_name' => 'Guest', 'last_name' => '',
        'default_address' => (object) ['zip' => '', 'country' => 'AT']];
    $one = woo_order(7, woo_customer('31'), [woo_line(12, 'Mug', '9.99', 1, [])], [], [14.98, 0, 0, 9.99]);
    $free = woo_order(8, $guest, [woo_line(13, 'Sample', '0.00', 1, [])], ['gratis'], [0, 0, 4.5, 0]);
    $refund = ['id' => 1042, 'transactions' => [(object) ['amount' => '30.00']]];
    $endpoint = 'https://shop.example/index.php/wp-json/loyalty/';
    $both = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE;
    return [
        vector('woocommerce: key-verify', appended(['key' => KEY, 't' => TIME]), 'key-verify'),
        vector('woocommerce: app-installed',
            appended(['shop_url' => 'https://shop.example', 'api_endpoint' => $endpoint]), 'app-installed'),
        vector('woocommerce: order of five lines', appended($five), 'orders-processing'),
        vector('woocommerce: order of five lines, unescaped', appended($five), 'orders-processing', $both),
        vector('woocommerce: order completed', appended($one), 'orders-completed'),
        vector('woocommerce: free order of a guest', appended($free), 'orders-completed'),
        vector('woocommerce: order cancelled', appended(['id' => 1042]), 'orders-cancelled'),
        vector('woocommerce: refund', appended($refund), 'refunds-create'),
        vector('woocommerce: refund of a float',
            appended(['id' => 1042, 'transactions' => [(object) ['amount' => 30.1]]]), 'refunds-create'),
        vector('woocommerce: customer', appended(woo_customer(31)), 'customers-create'),
        vector('woocommerce: customer unescaped', appended(woo_customer('32')), 'customers-create', $both),
    ];
}

/** A line as Magento's plugin sends one. */
function magento_line(string $id, ?string $name, ?string $price, string $quantity, float $discount): array
{
    return [
        'product_id' => $id,
        'product_name' => $name,
        'product_price' => $price,
        'quantity' => $quantity,
        'categories' => [['category_name' => 'Vêtements/Été', 'category_id' => '41']],
        'applied_rule_ids' => '3,5',
        'variantID' => null,
        'item_spent_amount' => (float) $price - $discount,
        'erp_sku' => null,
    ];
}

/** An order as Magento's plugin sends one. */
function magento_order(array $customer, ?string $code, ?int $guest): array
{
    $order = [
        'id' => '000000117',
        'total_price' => '59.85',
        'total_tax' => '4.90',
        'total_discounts' => '5.00',
        'subtotal_price' => '49.95',
        'taxes_included' => '0',
        'discount_codes' => $code === null ? [] : [['code' => $code]],
        'customer' => $customer,
        'products' => [
            magento_line('88', 'Robe « été » 38/40', '19.9900', '2.0000', 5.0),
            magento_line('89', 'Chaussettes', '14.9700', '1.0000', 14.970000000000001),
        ],
        'ip_address' => '198.51.100.7',
        'guest' => $guest,
    ];
    return $code === null ? $order : $order + ['coupon_code' => $code];
}

function magento_vectors(): array
{
    $known = ['email' => 'chloe@example.com', 'first_name' => 'Chloé', 'last_name' => 'Lefèvre', 'id' => '204',
        'default_address' => ['zip' => '75001', 'country' => 'FR'], 'birthday' => '1988-02-29 00:00:00'];
    $guest = ['email' => 'invité@example.com', 'first_name' => 'Inès', 'last_name' => 'Noël'];
    $order = magento_order($known, 'ÉTÉ-2025', 0);
    $returned = [
        ['product_id' => '88', 'product_name' => 'Robe « été » 38/40', 'product_price' => '19.9900', 'quantity' => 1],
        ['product_id' => '89', 'product_name' => 'Chaussettes', 'product_price' => null, 'quantity' => 0],
    ];
    $refund = ['id' => '000000117', 'transactions' => [['amount' => 17.4925]], 'products' => $returned];
    $customer = ['id' => '204', 'email' => 'chloe@example.com', 'first_name' => 'Chloé', 'last_name' => 'Lefèvre',
        'state' => 'enabled', 'birthday' => '1988-02-29'];
    $url = 'https://boutique.example/index.php/';
    return [
        vector('magento: key-verify', sorted(['t' => TIME]), 'key-verify'),
        vector('magento: app-installed', sorted(['shop_url' => 'https://boutique.example/',
            'api_endpoint' => $url . 'loyalty/coupon/index']), 'app-installed'),
        vector('magento: order processing', sorted($order), 'orders-processing'),
        vector('magento: order paid', sorted(magento_order($known, null, null)), 'orders-paid'),
        vector('magento: order fulfilled', sorted(magento_order($guest, null, 1)), 'orders-fulfilled'),
        vector('magento: order completed', sorted($order), 'orders-completed', JSON_UNESCAPED_SLASHES),
        vector('magento: order cancelled', sorted(['id' => '000000117']), 'orders-cancelled'),
        vector('magento: order closed', sorted(['id' => '000000117']), 'orders-closed'),
        vector('magento: refund', sorted($refund), 'refunds-create'),
        vector('magento: customer', sorted($customer), 'customers-create'),
        vector('magento: customer without a birthday',
            sorted(array_diff_key($customer, ['birthday' => 1])), 'customers-create'),
    ];
}

/** Bodies that are not signed as they should be. */
function refused_vectors(): array
{
    $data = ['zip' => '01067', 'name' => 'Zoë', 'url' => 'a/b', 'key' => KEY];
    $with = fn (string $hmac): array => $data + ['hmac' => $hmac];
    $raw = base64_decode(signature($data, SECRET));
    $sorted = $data;
    ksort($sorted);
    $sign = fn (string $text): string => base64_encode(hash_hmac('sha256', $text, SECRET, true));
    $cases = [
        'by another secret' => $with(signature($data, 'another')),
        'by no secret' => $with(signature($data, '')),
        'over the unsorted body' => $with($sign(json_encode($data))),
        'over unescaped letters' => $with($sign(json_encode($sorted, JSON_UNESCAPED_UNICODE))),
        'over unescaped slashes' => $with($sign(json_encode($sorted, JSON_UNESCAPED_SLASHES))),
        'without the key' => $with(signature(array_diff_key($data, ['key' => 1]), SECRET)),
        'over other data' => $with(signature(['zip' => '01068'] + $data, SECRET)),
        'in hexadecimal' => $with(bin2hex($raw)),
        'without padding' => $with(rtrim(base64_encode($raw), '=')),
        'cut off' => $with(base64_encode(substr($raw, 0, 31))),
        'empty' => $with(''),
        'missing' => $data,
    ];
    return array_map(
        fn (string $name, array $body): array => vector("signed $name", $body, null, 0, false),
        array_keys($cases),
        $cases,
    );
}

$vectors = array_merge(
    value_vectors(),
    name_vectors(),
    place_vectors(),
    woo_vectors(),
    magento_vectors(),
    refused_vectors(),
);
echo json_encode($vectors, JSON_PRETTY_PRINT | JSON_THROW_ON_ERROR), "\n";
