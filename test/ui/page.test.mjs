// Foresail's page in headless Chromium, against the real program. Run by make test-ui, which says where all is:
// FORESAIL and CHROMIUM are programs, PLAYWRIGHT is the directory of playwright-core, SHOTS one for pictures, if any.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { problems } from "./contrast.mjs";
import { cluster, crowd, demo, hostile, hostileName } from "./world.mjs";

const { FORESAIL, CHROMIUM, PLAYWRIGHT, SHOTS } = process.env;
const { chromium } = await import(pathToFileURL(join(PLAYWRIGHT, "index.mjs")));
const metric = "#/metric?metric=checkout_requests_per_second&resource=";
const looks = { light: {}, dark: { colorScheme: "dark" }, narrow: { colorScheme: "dark", viewport: { width: 360, height: 740 } } };
let browser, shop, many, named, unnamed;

before(async () => {
  [browser, shop, many, named, unnamed] = await Promise.all([
    chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] }), demo(FORESAIL), crowd(FORESAIL), cluster(FORESAIL, true), cluster(FORESAIL, false),
  ]);
});
after(() => Promise.all([browser?.close(), shop?.stop(), many?.stop(), named?.stop(), unnamed?.stop()]));

/** visit opens the page, has look look at it, and holds that nothing was logged and that only the server was asked. */
async function visit(server, hash, look, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", ...options });
  const page = await context.newPage();
  const bad = [];
  // What the test's own reading of pixels has Chromium say, and of a metric that is not there, is not the page's.
  page.on("console", (m) => /getImageData|404 \(Not Found\)/.test(m.text()) || bad.push(`${m.type()}: ${m.text()}`));
  page.on("pageerror", (e) => bad.push(e.message));
  page.on("request", (r) => r.url().startsWith(server.url + "/") || bad.push("asked " + r.url()));
  page.on("dialog", (d) => (bad.push("dialog"), d.dismiss()));
  await page.goto(`${server.url}/${hash}`);
  await look(page);
  await context.close();
  assert.deepEqual(bad, []);
}

/** drawn counts the pixels of a canvas that are of a colour, within a little. */
const drawn = (page, name) => page.locator(".plot canvas").evaluate((canvas, name) => {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12;
  return n;
}, name);

test("every metric is listed with its value and forecast", () =>
  visit(shop, "", async (page) => {
    const row = page.getByRole("row", { name: /checkout_requests_per_second/ });
    await row.waitFor();
    assert.match(await row.innerText(), /external\s+[\d.]+\s+[\d.]+\s+P90 in 30 min\s+trusted/);
    assert.equal(await page.getByRole("status").innerText(), "5 of 5 metrics");
    assert.equal(await page.locator("tbody tr").count(), 5);
    await page.getByLabel("State").selectOption("warming up");
    await page.getByText("1 of 5 metrics").waitFor();
    assert.match(await page.locator("tbody").innerText(), /host_memory_used_bytes/);
  }));

test("the chart shows what came, what had been forecast and what is ahead", () =>
  visit(shop, metric, async (page) => {
    await page.locator(".plot canvas").waitFor();
    for (const colour of ["came", "said", "ahead", "most"]) {
      const n = await drawn(page, colour);
      assert.ok(n > 20, `${n} pixels of what ${colour === "most" ? "is the most" : colour}`);
    }
    assert.match(await page.getByRole("img", { name: /Chart: from/ }).getAttribute("aria-label"), /In 30 min it is forecast to be [\d.]+, between/);
    await page.getByText("The same as a table").click();
    assert.ok((await page.getByRole("table", { name: /Values of the chart/ }).getByRole("row").count()) > 30);
    assert.equal(await page.getByRole("table", { name: "Accuracy by lead" }).locator("tbody tr").count(), 4);
    assert.match(await page.getByRole("table", { name: "Readers" }).innerText(), /checkout_requests_per_second_forecast\s+demo/);
    assert.match(await page.locator("main").innerText(), /daily cycle/);
    const before = await drawn(page, "came");
    await page.getByLabel("Shown:").selectOption("288");
    assert.notEqual(await drawn(page, "came"), before);
    await page.locator(".plot .u-over").hover();
    assert.match(await page.locator(".readout").innerText(), /^\d\d:\d\d: came [\d.]+, had been forecast/);
  }));

test("the other views are filled", () =>
  visit(shop, "#/collectors", async (page) => {
    await page.getByRole("row", { name: /kafka demo complete/ }).waitFor();
    await page.getByRole("link", { name: "Config" }).click();
    assert.match(await page.getByLabel("The config file").innerText(), /name: checkout_queue/);
    await page.getByText(/In use since/).waitFor();
    await page.getByRole("link", { name: "Readers" }).click();
    await page.getByRole("row", { name: /checkout_requests_per_second_forecast/ }).waitFor();
    assert.doesNotMatch(await page.locator("table").innerText(), /HPA/, "there is no cluster, so no HPA is named");
    await page.getByRole("link", { name: "Follow a read" }).click();
    await page.getByLabel("Metric", { exact: true }).fill("checkout_queue");
    await page.getByLabel("Namespace").fill("demo");
    await page.getByLabel("Namespace").press("Enter");
    await page.getByRole("row", { name: /checkout-1.* trusted/ }).waitFor();
  }));

test("all of it works by keyboard, and the focus is seen and kept", () =>
  visit(shop, "", async (page) => {
    await page.getByRole("row", { name: /orders_lag_growth/ }).waitFor();
    const seen = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        return { text: e.textContent.trim() || e.labels?.[0]?.textContent, outline: parseFloat(getComputedStyle(e).outlineWidth), on: getComputedStyle(e).outlineStyle };
      });
      seen.push(at.text);
      assert.ok(at.outline >= 2 && at.on !== "none", `the focus on "${at.text}" is not seen`);
      if (at.text === "checkout_requests_per_second") break;
    }
    assert.equal(seen[0], "Skip to the content");
    assert.equal(seen.at(-1), "checkout_requests_per_second");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.tagName === "H1" && document.activeElement.textContent === "checkout_requests_per_second");
    assert.equal(await page.title(), "checkout_requests_per_second - Foresail");
    await page.getByText("The same as a table").focus();
    await page.keyboard.press("Enter");
    await page.waitForResponse(/history/); // The next update, within ten seconds.
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "The same as a table");
    assert.equal(await page.locator("details.values").evaluate((e) => e.open), true);
  }));

for (const [name, options] of Object.entries(looks)) {
  test(`contrast, names and landmarks, ${name}`, async () => {
    for (const hash of ["", metric, "#/readers", "#/collectors", "#/config", "#/read?metric=checkout_queue&namespace=demo"]) {
      await visit(shop, hash, async (page) => {
        await page.locator("#body > *").first().waitFor();
        if (hash === metric) await page.locator(".plot canvas").waitFor();
        assert.deepEqual(await page.evaluate(problems), [], hash);
        if (SHOTS && (hash === "" || hash === metric)) await page.screenshot({ path: join(SHOTS, `${hash ? "metric" : "metrics"}-${name}.png`) });
      }, options);
    }
  });
}

test("the chart follows the colours of the system", () =>
  visit(shop, metric, async (page) => {
    await page.locator(".plot canvas").waitFor();
    const light = await drawn(page, "came");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(200);
    assert.ok(light > 20 && (await drawn(page, "came")) > 20);
  }));

test("a thousand metrics are told in parts, and searched", () =>
  visit(many, "", async (page) => {
    await page.getByText("1,000 of 1,000 metrics").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 100);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("101 to 200 of 1,000").waitFor();
    await page.getByLabel("Name of the metric").fill("m99");
    await page.getByText("10 of 1,000 metrics").waitFor();
    assert.equal(await page.locator("tbody tr").count(), 10);
  }));

test("a label that wants to be HTML is text", () =>
  visit(many, "#/metric?metric=crowd&resource=", async (page) => {
    const link = page.getByRole("link", { name: /web-007/ });
    await link.waitFor();
    assert.ok((await link.innerText()).includes(hostile.replaceAll('"', '\\"')));
    assert.equal(await page.getByRole("table", { name: "Series" }).locator("tbody tr").count(), 100);
    await page.getByText("1 to 100 of 150").waitFor();
    await link.click();
    await page.locator("tr[aria-current] th").waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.title(), "crowd - Foresail");
    await page.goto(many.url + "/#/metric?metric=" + encodeURIComponent(hostile));
    await page.getByRole("alert").getByText("did not answer").waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
  }));

test("a series and a forecast that differ by rounding are drawn", () =>
  visit(many, "#/metric?metric=crowd&resource=", async (page) => {
    const times = [1795446900, 1795447200, 1795447500], same = [null, 6.999999741791157, 6.999999741791157], none = [null, null, null];
    await page.route("**/page/history?*", async (route) => {
      const history = await (await route.fetch()).json();
      await route.fulfill({ json: { ...history, times, came: [7, null, null], said: [none, none, none], ahead: [same, same, same], windowMax: same } });
    });
    await page.getByRole("link", { name: /web-007/ }).click();
    await page.getByRole("img", { name: /the series went from 7 to 7/ }).waitFor();
    assert.ok(await drawn(page, "ahead") > 100);
  }));

test("secrets of the config are hidden", () =>
  visit(many, "#/config", async (page) => {
    const text = await page.getByLabel("The config file").innerText();
    assert.ok(!text.includes("hunter2") && text.includes("X-Scope-OrgID: <hidden>"), text.slice(0, 300));
  }));

for (const [name, options] of Object.entries(looks)) {
  test(`the HPAs that ask for what is read are named, ${name}`, async () => {
    for (const hash of ["#/readers", "#/metric?metric=orders&resource="]) {
      await visit(named, hash, async (page) => {
        const row = page.getByRole("table", { name: "Readers" }).getByRole("row", { name: /horizontal-pod-autoscaler/ });
        await row.waitFor();
        assert.deepEqual((await row.getByRole("cell").nth(1).innerText()).split("\n"), ["web", hostileName]);
        assert.match(await page.getByRole("row", { name: /kate/ }).innerText(), /none asks for it/);
        assert.match(await page.getByRole("table", { name: "Asked for by HPAs, and not read" }).locator("tbody").innerText(), /orders\s+shop\s+mail\s+metric selector queue=b/);
        assert.equal(await page.locator("main img, main script").count(), 0);
        assert.deepEqual(await page.evaluate(problems), [], hash);
        if (SHOTS) await page.screenshot({ path: join(SHOTS, `${hash === "#/readers" ? "readers" : "read"}-${name}.png`), fullPage: true });
      }, options);
      await visit(unnamed, hash, async (page) => {
        await page.getByText('HPAs are not named: cannot list the autoscalers: horizontalpodautoscalers.autoscaling is forbidden: User "foresail" cannot list them').waitFor();
        assert.equal(await page.getByRole("table", { name: "Readers" }).locator("tbody tr").count(), 2);
        assert.deepEqual(await page.evaluate(problems), [], hash);
        if (SHOTS) await page.screenshot({ path: join(SHOTS, `unnamed-${name}.png`) });
      }, options);
    }
  });
}

test("an HPA is searched for by name, and both tables scroll by keyboard", () =>
  visit(named, "#/readers", async (page) => {
    await page.getByLabel("Metric, namespace, user or HPA").fill("mail");
    await page.getByText("0 of 2 readers").waitFor();
    const region = page.getByRole("region", { name: "Asked for by HPAs, and not read" });
    await region.waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await region.evaluate((e) => e === document.activeElement), true);
  }));
