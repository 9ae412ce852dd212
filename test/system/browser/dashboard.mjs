// dashboard.mjs URL FOLDER CHROMIUM: uses the dashboard as people do, prints `ok WHAT` or `not ok WHAT`
// a line, and leaves screenshots in FOLDER.
import { chromium } from "playwright-core";

const [url, folder, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
const complaints = [];
const outside = [];

function check(what, good) {
  console.log((good ? "ok " : "not ok ") + what);
}

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) outside.push(request.url());
  });
  await page.goto(url);
  return page;
}

async function logIn(page, user, password = user + "-pw") {
  await page.fill("[name=user]", user);
  await page.fill("[name=password]", password);
  await page.keyboard.press("Enter");
}

async function sees(page, selector, text) {
  try {
    await page.waitForFunction(([where, what]) => document.querySelector(where)?.textContent.includes(what), [selector, text]);
    return true;
  } catch (error) {
    return false;
  }
}

async function viewer() {
  const page = await open();
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log("# first contentful paint after " + Math.round(paint) + " ms");
  check("the first paint comes within a second", paint < 1000);
  await logIn(page, "vera", "wrong");
  check("a wrong password is told", await sees(page, "#notice", "does not let this role log in"));
  await logIn(page, "vera");
  check("health is shown", await sees(page, "#overall", "health "));
  check("with what pulls it down", await sees(page, "#health", "shop_queue_length"));
  check("an alert is shown", await sees(page, "#alerts", "shop_queue_length"));
  check("a hostile label is text", await sees(page, "#alerts", "<img src=x onerror=alert(1)>") && (await page.locator("#alerts img").count()) === 0);
  check("metrics are drawn", await page.waitForSelector("#course canvas").then(() => true, () => false));
  await page.screenshot({ path: folder + "/viewer.png", fullPage: true });
  await page.locator("#alerts button", { hasText: "Acknowledge" }).first().click();
  check("what a viewer may not do is told", await sees(page, "#notice", "Your role may not do this"));
  await page.context().close();
}

async function operator() {
  const page = await open({ colorScheme: "dark" });
  await logIn(page, "olaf");
  await sees(page, "#alerts", "firing");
  const button = page.locator("#alerts button", { hasText: "Acknowledge" }).first();
  await button.focus();
  await page.keyboard.press("Enter");
  check("an alert is acknowledged by keyboard", await sees(page, "#alerts", "acknowledged"));
  await page.locator("#alerts button", { hasText: "Resolve" }).first().click();
  check("and resolved", await sees(page, "#alerts", "No alert is active."));
  await page.selectOption("#start [name=scenario]", "one");
  await page.fill("#start [name=users]", "2");
  await page.fill("#start [name=duration]", "4 s");
  await page.locator("#start button").click();
  check("a test that runs is shown live", await sees(page, "#tests .live", "calls/s"));
  await page.screenshot({ path: folder + "/running.png", fullPage: true });
  check("and in the list when it is over", await sees(page, "#tests .body", "finished"));
  await page.locator("#tests button", { hasText: "Report" }).first().click();
  check("with its report", await sees(page, "#tests .report", "total"));
  const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check("dark is dark", dark.match(/\d+/g).slice(0, 3).every((part) => Number(part) < 64));
  await page.locator("#analyze").click();
  check("an analysis is made", await sees(page, "#recommendations .body", "") && !(await page.locator("#notice").isVisible()));
  await page.screenshot({ path: folder + "/operator-dark.png", fullPage: true });
  await page.context().close();
}

async function phone() {
  const page = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await logIn(page, "vera");
  await sees(page, "#health", "overall");
  await page.waitForSelector("#course canvas");
  check("a phone's width is enough", await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await page.screenshot({ path: folder + "/phone.png", fullPage: true });
  await page.context().close();
}

async function stranger() {
  const page = await open();
  await logIn(page, "nemo");
  check("who may see nothing is told so in each panel", await sees(page, "#health", "Your role may not see this") && await sees(page, "#tests", "Your role may not see this"));
  await page.locator("#logout").click();
  check("signing out leads back to the form", await page.locator("#login").isVisible());
  await page.route("**/integration/**", (route) => route.abort());
  await logIn(page, "vera");
  check("a gateway that does not answer is told", await sees(page, "#notice", "does not answer"));
  await page.context().close();
}

for (const part of [viewer, operator, phone, stranger]) {
  try {
    await part();
  } catch (error) {
    check(part.name + ": " + error.message.split("\n")[0], false);
  }
}
check("nothing is asked for elsewhere", outside.length === 0);
check("no error and no breach of the policy in the console", complaints.length === 0);
for (const complaint of complaints) console.log("# " + complaint);
await browser.close();
