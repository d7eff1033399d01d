using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests that the log level of running gateways can be changed, on real gateways with one Redis.</summary>
public sealed class LogLevelTest
{
    private const string Path = "/api/v1/log-level";
    private const string Manifest = "templates: []\nendpoints: []\n";

    [Fact]
    public async Task A_level_applies_to_all_gateways_until_it_is_reset_and_changes_are_audited()
    {
        await using var one = await InProcessGateway.StartAsync(Jobs.Manifest("/dev/null"));
        await using var other = await one.StartAnotherAsync();
        Assert.Equal(("Information", null), await ReadAsync(one));
        await ForwardAsync(other, "quiet");
        await PutAsync(one, """{"level":"debug"}""");
        await ChangedAsync(one, "Debug", 1);
        await ChangedAsync(other, "Debug", 1);
        Assert.Equal(("Debug", null), await ReadAsync(other));
        await ForwardAsync(other, "loud");
        await other.Log.EventAsync("RequestForwarded", ("Request", "loud"));
        Assert.DoesNotContain(other.Log.Entries, e => e.Is("RequestForwarded", ("Request", "quiet")));

        await one.RestartAsync();
        await ChangedAsync(one, "Debug", 2);
        using var reset = await other.Client.DeleteAsync(new Uri(Path, UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, reset.StatusCode);
        await ChangedAsync(one, "Information", 1);
        await ChangedAsync(other, "Information", 1);
        Assert.Equal(("Information", null), await ReadAsync(one));

        var audit = (await one.GetAsync("/api/v1/audit"))["entries"]!.AsArray();
        Assert.Equal($"DELETE {Path}", (string?)audit[0]!["action"]);
        Assert.Equal("Debug", (string?)audit[1]!["after"]!["level"]);
    }

    [Fact]
    public async Task A_category_has_its_own_level_until_its_time_is_over()
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifest);
        // The request of this line is logged at the level Information, and not stored.
        await PutAsync(gateway, """{"categories":{"Sluice.Gateway.Audit":"None"},"for":"1s"}""");
        await gateway.Log.EventAsync("LogLevelChanged", ("Categories", "1"));
        await gateway.Log.EventAsync("LogLevelChanged", ("Categories", "0"));
        Assert.DoesNotContain(gateway.Log.Entries, e => e.Is("Audit"));
        await PutAsync(gateway, """{"level":"Warning","for":"1h"}""");
        var now = await gateway.GetAsync(Path);
        Assert.Equal("Warning", (string?)now["level"]);
        Assert.True(now["until"]!.GetValue<DateTimeOffset>() > TimeProvider.System.GetUtcNow());
    }

    [Theory]
    [InlineData("""{"level":"verbose"}""", "level", "Trace, Debug, Information")]
    [InlineData("""{"level":3}""", "level", "Trace, Debug, Information")]
    [InlineData("""{"levle":"Debug"}""", "levle", "a known field (level, categories, for)")]
    [InlineData("""{"categories":{"Sluice":"loud"}}""", "categories.Sluice", "Trace, Debug")]
    [InlineData("""{"categories":{"a b":"Debug"}}""", "categories", "names of categories")]
    [InlineData("""{"categories":["Sluice"]}""", "categories", "an object with at most 50 levels")]
    [InlineData("""{"for":"never"}""", "for", "from 1s to 30d")]
    [InlineData("""{"for":"0s"}""", "for", "from 1s to 30d")]
    public async Task An_invalid_field_is_named_with_its_rule_and_changes_nothing(
        string body, string field, string rule)
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifest);
        using var response = await gateway.Client.PutAsync(
            new Uri(Path, UriKind.Relative), new StringContent(body));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = (await response.Content.ReadFromJsonAsync<JsonObject>())!["errors"]!.AsArray().Single()!;
        Assert.Equal(field, (string?)error["field"]);
        Assert.Contains(rule, (string?)error["expected"], StringComparison.Ordinal);
        Assert.Equal(("Information", null), await ReadAsync(gateway));
    }

    private static async Task PutAsync(InProcessGateway gateway, string body)
    {
        using var response = await gateway.Client.PutAsync(
            new Uri(Path, UriKind.Relative), new StringContent(body));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static async Task ForwardAsync(InProcessGateway gateway, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/e/stub/run")
        {
            Content = new StringContent("""{"id":"1","attempt":1,"input":{"do":"echo"}}"""),
        };
        request.Headers.Add("X-Request-Id", id);
        using var response = await gateway.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static Task ChangedAsync(InProcessGateway gateway, string level, int times) => Eventually.HoldsAsync(
        () => gateway.Log.Entries.Count(e => e.Is("LogLevelChanged", ("Level", level))) == times,
        $"the level is {level}, for the {times}. time");

    private static async Task<(string? Level, string? Until)> ReadAsync(InProcessGateway gateway)
    {
        var now = await gateway.GetAsync(Path);
        return ((string?)now["level"], (string?)now["until"]);
    }
}
