using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A worker's own settings, through the gateway: for admins, by whatever path others come.</summary>
public sealed class WorkerSettingsTest
{
    [Fact]
    public async Task Only_an_admin_changes_what_a_worker_logs_and_traces()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", more: "public: true")));
        using var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = "ann", invoke = new[] { "digits" } });
        var key = (string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        using HttpClient caller = gateway.ClientFor(key), nobody = gateway.ClientFor(null);
        caller.DefaultRequestHeaders.Add("X-Sluice-Admin", "1");
        nobody.DefaultRequestHeaders.Add("X_Sluice_Admin", "1");
        foreach (var client in new[] { caller, nobody })
            foreach (var path in new[] { "/e/digits/v2/logging", "/e/digits/v2/%6Cogging", "/e/digits/v2/trace/setting", "/v2/models/digits/trace/setting" })
                Assert.Equal(HttpStatusCode.Forbidden, await ChangeAsync(client, path));
        Assert.Equal(HttpStatusCode.OK, await ChangeAsync(gateway.Client, "/e/digits/v2/logging", """{"log_verbose_level":1}"""));
        Assert.Equal(HttpStatusCode.OK, await ChangeAsync(gateway.Client, "/v2/models/digits/trace/setting", """{"trace_level":["TIMESTAMPS"]}"""));
        Assert.Equal(1, (int)(await gateway.GetAsync("/e/digits/v2/logging"))["log_verbose_level"]!);
        Assert.Equal("TIMESTAMPS", (string?)(await gateway.GetAsync("/v2/models/digits/trace/setting"))["trace_level"]![0]);
    }

    private static async Task<HttpStatusCode> ChangeAsync(HttpClient client, string path, string body = "{}")
    {
        using var answer = await client.PostAsync(path, new StringContent(body));
        return answer.StatusCode;
    }
}
