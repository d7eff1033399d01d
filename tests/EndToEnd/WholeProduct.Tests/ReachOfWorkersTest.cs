using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>What a worker, its public callers and other users of the machine can reach of the gateway.</summary>
public sealed class ReachOfWorkersTest
{
    [Fact]
    public async Task A_worker_finds_nothing_of_the_gateway_in_its_folder_and_other_users_nothing_in_the_data()
    {
        if (OperatingSystem.IsWindows()) return;
        const string script = "exec 2>&1; umask; pwd; ls -AR; cat data/host-id ../data/host-id; for f in /proc/$$/fd/*; do [ -L $f ] && echo fd $${f##*/}; done; exit 7";
        await using var gateway = await GatewayProcess.StartAsync($$"""
            templates:
              - { name: curious, command: [/bin/sh, -c, "{{script}}"] }
            endpoints:
              - { id: curious, template: curious, scaling: { min: 1 } }
            """, wrapper: ["/bin/sh", "-c", "exec 9</dev/null; exec \"$0\""]);
        using (await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = "ann", invoke = new[] { "*" } })) { }
        var told = await gateway.UntilAsync("/api/v1/endpoints/curious/workers",
            w => w["workers"]!.AsArray().Any(p => p!["lastOutput"] is JsonArray { Count: 8 }));
        var lines = told["workers"]!.AsArray().First(p => p!["lastOutput"] is JsonArray { Count: 8 })!["lastOutput"]!.AsArray().Select(l => (string)l!).ToList();
        Assert.Equal(["0077", ".:"], [lines[0], lines[2]]);
        Assert.Contains("/sluice-work-", lines[1], StringComparison.Ordinal);
        // Standard input, output and error; not the file that the gateway was started with.
        Assert.Equal(["fd 0", "fd 1", "fd 2"], lines.Where(l => l.StartsWith("fd ", StringComparison.Ordinal)));
        Assert.All(lines.Where(l => l.StartsWith("cat", StringComparison.Ordinal)), l => Assert.Contains("No such file", l, StringComparison.Ordinal));

        var data = Path.Combine(gateway.Folder, "data");
        var entries = Directory.EnumerateFileSystemEntries(data, "*", SearchOption.AllDirectories).Append(data).ToList();
        Assert.Contains(entries, e => e.EndsWith(".incr.aof", StringComparison.Ordinal));
        Assert.All(entries, e => Assert.Equal(Directory.Exists(e) ? "700" : "600", Mode(e)));
    }

    [Fact]
    public async Task A_caller_without_a_key_of_the_endpoint_infers_and_reads_nothing_else()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("digits", more: "public: true"), Manifests.Endpoint("embed")));
        using HttpClient nobody = gateway.ClientFor(null), stranger = gateway.ClientFor(await KeyAsync("embed")), caller = gateway.ClientFor(await KeyAsync("digits"));
        nobody.DefaultRequestHeaders.Add("X-Sluice-Anonymous", "0");
        (HttpMethod Method, string Path, string? Body)[] closed =
        [
            (HttpMethod.Post, "/e/digits/v2/repository/index", ""), (HttpMethod.Post, "/e/digits/v2/%72epository/index", ""),
            (HttpMethod.Get, "/e/digits/metrics", null), (HttpMethod.Get, "/e/digits/v2/models", null), (HttpMethod.Get, "/e/digits/v2/models/stats", null),
            (HttpMethod.Get, "/v2/models/digits/stats", null), (HttpMethod.Get, "/e/digits/v2/logging", null), (HttpMethod.Get, "/v2/models/digits/trace/setting", null),
        ];
        foreach (var client in new[] { nobody, stranger })
        {
            foreach (var (method, path, body) in closed) Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(client, method, path, body));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, HttpMethod.Post, "/v2/models/digits/infer", GatewayProcess.Example("digits")));
            foreach (var path in new[] { "/v2/models/digits", "/v2/models/digits/config", "/v2/models/digits/ready", "/e/digits/v2/health/ready" })
                Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, HttpMethod.Get, path, null));
        }

        foreach (var (method, path, body) in closed)
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(caller, method, path, body));

        async Task<string> KeyAsync(string endpoint)
        {
            using var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name = endpoint, invoke = new[] { endpoint } });
            return (string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        }
    }

    [Fact]
    public async Task An_endpoint_whose_models_are_loaded_by_requests_starts_empty()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(
            Manifests.Endpoint("loads", max: 1, more: "env: { SLUICE_MODEL_CONTROL: explicit }")));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(gateway.Client, HttpMethod.Get, "/e/loads/v2/models/digits", null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway.Client, HttpMethod.Post, "/e/loads/v2/repository/models/digits/load", ""));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway.Client, HttpMethod.Post, "/e/loads/v2/models/digits/infer", GatewayProcess.Example("digits")));
    }

    private static string Mode(string path) => OperatingSystem.IsWindows() ? "" : Convert.ToString((int)File.GetUnixFileMode(path), 8);

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, HttpMethod method, string path, string? body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body) };
        using var answer = await client.SendAsync(request);
        return answer.StatusCode;
    }
}
