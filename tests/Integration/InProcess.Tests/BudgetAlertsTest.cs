using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Usage;
using Sluice.Domain.Webhooks;
using Sluice.Gateway.Usage;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the alerts of budgets with two real gateways, which share the outbox.</summary>
public sealed class BudgetAlertsTest
{
    private const int Requests = 40;

    private static readonly Uri Ready = new("/e/stub/ready", UriKind.Relative);

    private readonly ConcurrentQueue<Delivery> received = new();

    [Fact]
    public async Task Each_alert_of_a_window_is_signed_and_sent_once_by_two_gateways()
    {
        await using var receiver = await ReceiveAsync();
        var log = Path.GetTempFileName();
        await using var first = await InProcessGateway.StartAsync(
            Jobs.Manifest(log), new Dictionary<string, string?> { ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8" });
        var second = await first.StartAnotherAsync();
        try
        {
            var (window, isProjected) = ChooseWindow();
            var webhook = $"{receiver.Urls.First()}/alerts";
            var budget = await CreateAsync(first, window, webhook);
            await Eventually.HoldsAsync(() =>
                second.Services.GetRequiredService<BudgetGuard>().Counts("stub", ""), "the budget applies");
            // Both gateways count in the same budget at the same time, above its limit.
            var statuses = await Task.WhenAll(Enumerable.Range(0, Requests + 4).Select(async n =>
            {
                using var answer = await (n % 2 == 0 ? first : second).Client.GetAsync(Ready);
                return answer.StatusCode;
            }));
            Assert.Equal(4, statuses.Count(s => s == HttpStatusCode.PaymentRequired));

            string[] levels = isProjected ? ["100", "50", "80", "projected"] : ["100", "50", "80"];
            await Eventually.BecomesAsync(() => Task.FromResult(received.ToArray()),
                all => levels.All(l => all.Any(d => d.Level == l)), "alerts");
            // The limit is raised and used up again: each alert was sent in this window.
            using (var raised = await second.Client.PutAsJsonAsync($"/api/v1/budgets/{budget}",
                new { scope = "gateway", unit = "requests", window, limit = 2 * Requests, webhook }))
                Assert.Equal(HttpStatusCode.OK, raised.StatusCode);
            for (var n = 0; n < Requests; n++) await second.Client.GetStringAsync(Ready);
            // What was used before a budget was created counts. So its alerts follow any alert of the first one.
            await second.UntilAsync("/api/v1/usage", u =>
                u["usage"]!.AsArray().Sum(line => (int)line!["requests"]!) >= 2 * Requests);
            await CreateAsync(second, window, webhook.Replace("alerts", "last", StringComparison.Ordinal));
            await Eventually.HoldsAsync(() => received.Any(d => d.Path == "/last"), "the last alert");

            var alerts = received.Where(d => d.Path == "/alerts").ToArray();
            Assert.Equal(levels, alerts.Select(d => d.Level).Order(StringComparer.Ordinal));
            await CheckAsync(first, alerts);
        }
        finally
        {
            await second.StopAsync();
        }

        await first.StopAsync();
        StubLog.Delete(log);
    }

    /// <summary>Returns a window that does not end soon, and whether a tenth of it has passed.</summary>
    private static (string Window, bool IsProjected) ChooseWindow()
    {
        var now = TimeProvider.System.GetUtcNow();
        foreach (var window in new[] { UsageStep.Month, UsageStep.Week, UsageStep.Day })
            if ((now - window.Begin(now)) / (window.End(now) - window.Begin(now)) is > 0.11 and < 0.99)
                return (window.ToString().ToLowerInvariant(), true);
        return ("month", false);
    }

    private static async Task CheckAsync(InProcessGateway gateway, IReadOnlyList<Delivery> alerts)
    {
        var secrets = (await gateway.GetAsync("/api/v1/budgets/webhook-secret"))["values"]!.AsArray();
        Assert.All(alerts, d => Assert.Equal(
            WebhookSignature.Sign([.. secrets.Select(s => (string)s!)], d.Id,
                long.Parse(d.Stamp, CultureInfo.InvariantCulture), d.Body), d.Signature));
        foreach (var (level, used) in new[] { ("50", Requests / 2), ("80", Requests * 8 / 10), ("100", Requests) })
        {
            var body = JsonNode.Parse(alerts.Single(d => d.Level == level).Body)!;
            Assert.Equal(("budget.alert", used, Requests, "requests"), ((string?)body["type"],
                (int)body["budget"]!["used"]!, (int)body["budget"]!["limit"]!, (string?)body["budget"]!["unit"]));
        }
    }

    private static async Task<string> CreateAsync(InProcessGateway gateway, string window, string webhook)
    {
        using var answer = await gateway.Client.PostAsJsonAsync("/api/v1/budgets",
            new { scope = "gateway", unit = "requests", window, limit = Requests, webhook });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
    }

    private async Task<WebApplication> ReceiveAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var receiver = builder.Build();
        receiver.Urls.Add("http://127.0.0.1:0");
        receiver.MapPost("/{path}", async (HttpContext context) =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            string Header(string name) => context.Request.Headers[name].ToString();
            received.Enqueue(new Delivery(context.Request.Path.Value!, Header("webhook-id"),
                Header("webhook-timestamp"), Header("webhook-signature"), body.ToArray()));
        });
        await receiver.StartAsync();
        return receiver;
    }

    private sealed record Delivery(string Path, string Id, string Stamp, string Signature, byte[] Body)
    {
        public string Level => (string)JsonNode.Parse(Body)!["level"]!;
    }
}
