using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>
/// Uses the dashboard of a running gateway in a real browser, with <c>tests/EndToEnd/Dashboard/run.mjs</c>.
/// </summary>
public sealed class DashboardTest
{
    /// <summary>The longest run of the browser, on a machine whose cores are in use.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(8);

    /// <summary>The endpoint of the pictures keeps a worker, so that each screen of it has its inputs.</summary>
    private const string Manifest = """
        templates:
          - name: onnx-cpu
            concurrency: 8
        endpoints:
          - { id: digits, template: onnx-cpu, scaling: { min: 1, max: 1 } }
          - { id: story, template: onnx-cpu, scaling: { min: 0, max: 1 } }
        """;

    [Fact]
    public async Task Each_screen_shows_a_running_gateway_and_changes_it()
    {
        Require.Program("chromium", "chromium");
        Require.Program("node", "nodejs and npm, which fetch playwright-core");
        Require.Program("/usr/bin/python3", "python3");
        var folder = Path.Combine(Repository.Root, "tests", "EndToEnd", "Dashboard");
        Assert.True(Directory.Exists(Path.Combine(folder, "node_modules", "axe-core")),
            "npm ci has not run: make test runs it");
        var inventory = Path.GetTempFileName();
        File.Copy(Path.Combine(folder, "gpus.json"), inventory, overwrite: true);
        await using var gateway = await GatewayProcess.StartAsync(
            Manifest, environment: new Dictionary<string, string?>
            {
                ["SLUICE_PROCESS_POD_TEMPLATES"] = "page",
                ["SLUICE_WEBHOOK_ALLOW"] = "127.0.0.0/8",
                ["SLUICE_GPU_INVENTORY"] = inventory,
            });

        await using var browser = new ChildProcess("/usr/bin/env", ["node", Path.Combine(folder, "run.mjs")],
            new Dictionary<string, string?>
            {
                ["SLUICE_URL"] = gateway.Url.ToString().TrimEnd('/'),
                ["SLUICE_ADMIN_KEY"] = gateway.Key,
                ["SLUICE_GPU_INVENTORY"] = inventory,
                ["SAMPLE"] = "7-Lato.png",
                ["DIGIT"] = "7",
            });
        var code = await browser.ExitAsync(Longest);

        var checks = browser.Output.Split('\n').Where(l => l.StartsWith("{\"check\"", StringComparison.Ordinal))
            .Select(l => JsonNode.Parse(l)!).ToList();
        var failed = checks.Where(c => !(bool)c["ok"]!).Select(c => $"{c["check"]}: {c["detail"]}").ToList();
        Assert.True(failed.Count == 0, string.Join('\n', failed));
        Assert.True(code == 0 && browser.Output.Contains("{\"done\":true", StringComparison.Ordinal), browser.Output);
        Assert.InRange(checks.Count, 30, 100);
        File.Delete(inventory);
    }

    [Fact]
    public async Task The_parts_of_the_dashboard_pass_their_own_tests()
    {
        Require.Program("node", "nodejs and npm, which fetch vitest");
        var folder = Path.Combine(Repository.Root, "src", "Dashboard");
        var vitest = Path.Combine(folder, "node_modules", "vitest", "vitest.mjs");
        Assert.True(File.Exists(vitest), "eng/build-dashboard has not run: make test runs it");
        await using var tests = new ChildProcess("/usr/bin/env", ["node", vitest, "run", "--root", folder],
            new Dictionary<string, string?> { ["NO_COLOR"] = "1" });
        Assert.True(await tests.ExitAsync(Longest) == 0, tests.Output);
    }
}
