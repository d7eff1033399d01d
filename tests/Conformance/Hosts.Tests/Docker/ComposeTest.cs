using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>docker-compose.yml, unchanged, with images that are built on this machine.</summary>
[Collection("docker")]
public sealed class ComposeTest(DockerDaemon daemon)
{
    private static readonly string[] Alone = ["-f", "docker-compose.yml"];
    private static readonly string[] WithPods = ["-f", "docker-compose.yml", "-f", "deploy/docker-compose.pods.yml"];

    private string socketGroup = "";

    private const string Key = "an-admin-key-of-these-tests";

    private static string? WhyNot
    {
        get
        {
            if (DockerDaemon.WhyNot is { } reason) return reason;
            if (!File.Exists("/usr/bin/docker-compose"))
                return "docker-compose is not installed (Debian: docker-compose)";
            return File.Exists("/usr/bin/prometheus") ? null : "prometheus is not installed (Debian: prometheus)";
        }
    }

    [Fact]
    public async Task The_compose_file_starts_a_healthy_stack_and_the_pods_file_runs_workers_as_containers()
    {
        Require.Available(WhyNot);
        await ImagesAsync();
        await ComposeAsync(async () =>
        {
            await UpAsync(Alone);
            foreach (var service in new[] { "redis", "prometheus", "gateway" }) await HealthyAsync(service);
            await AskAsync();
            await ScrapedAsync();
            var container = await ContainerAsync("redis");
            var redis = await daemon.DockerAsync("exec", container, "redis-cli", "config", "get", "maxmemory-policy");
            Assert.Contains("noeviction", redis, StringComparison.Ordinal);
            var log = await daemon.DockerAsync("exec", container, "redis-cli", "config", "get", "appendonly");
            Assert.Contains("yes", log, StringComparison.Ordinal);
            foreach (var service in new[] { "redis", "prometheus", "gateway" }) await ConfinedAsync(service);

            const string read = "cat /proc/1/environ 2>&1; cat /proc/1/comm";
            var secrets = await daemon.DockerAsync("exec", await ContainerAsync("gateway"), "/bin/sh", "-c", read);
            Assert.Contains("Permission denied", secrets, StringComparison.Ordinal);
            Assert.Contains("Sluice.Gateway", secrets, StringComparison.Ordinal);

            await UpAsync(WithPods);
            await HealthyAsync("gateway");
            await AskAsync();
            var workers = await daemon.DockerAsync("ps", "-q", "--filter", "label=sluice.endpoint=digits");
            var worker = workers.Split('\n')[0];
            Assert.NotEqual("", worker);
            var networks = await daemon.DockerAsync("inspect", "-f", "{{json .NetworkSettings.Networks}}", worker);
            Assert.Contains("sluice-pods", networks, StringComparison.Ordinal);
        });
        // A gateway that stops also stops its workers.
        Assert.Equal("", await daemon.DockerAsync("ps", "-aq"));
    }

    [Fact]
    public async Task The_gpu_image_is_built_by_the_same_steps_on_any_base_image()
    {
        Require.Available(WhyNot);
        await daemon.DockerAsync(
            "build", "-q", "-f", "deploy/worker-gpu.Dockerfile", "--build-arg", $"BASE={LocalImages.Base}",
                "--build-arg", $"DOTNET={LocalImages.Base}", "--build-arg", "APP=prebuilt",
                "--build-arg", "PUBLISHED=.build/run/worker", "-t", "sluice-worker-gpu:local", ".");
        var output = await daemon.DockerAsync("run", "--rm", "--entrypoint", "/bin/sh", "sluice-worker-gpu:local", "-c",
            "/worker/Sluice.Worker doctor; true");
        Assert.Contains("cuda", output, StringComparison.OrdinalIgnoreCase);
    }

    private async Task ImagesAsync()
    {
        socketGroup = (await daemon.RunAsync("stat", ["-c", "%g", daemon.Socket])).Trim();
        var folder = Directory.CreateTempSubdirectory("sluice-images-").FullName;
        await LocalImages.BuildAsync(daemon, "gateway", LocalImages.Gateway);
        await LocalImages.ImportAsync(daemon, folder, LocalImages.Redis,
            ["ENV PATH=/bin"], ["/usr/bin/redis-server", "/usr/bin/redis-cli"]);
        await LocalImages.ImportAsync(daemon, folder, LocalImages.Prometheus,
            ["ENV PATH=/bin", "ENTRYPOINT [\"/bin/prometheus\"]"], ["/usr/bin/prometheus"]);
        Directory.Delete(folder, recursive: true);
    }

    private Task<string> UpAsync(string[] files) => RunAsync([.. files, "up", "-d", "--no-build"]);

    /// <summary>Runs checks on the started services, and removes all of them afterwards.</summary>
    private async Task ComposeAsync(Func<Task> check)
    {
        try
        {
            await check();
        }
        catch (Exception e) when (e is not InvalidOperationException)
        {
            var logs = await RunAsync([.. WithPods, "logs", "--no-color", "--tail=40"]);
            throw new InvalidOperationException(e.Message + "\n" + logs, e);
        }
        finally
        {
            await RunAsync([.. WithPods, "down", "-v", "-t", "120"]);
        }
    }

    private Task<string> RunAsync(string[] arguments)
    {
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_GATEWAY_IMAGE"] = LocalImages.Gateway,
            ["SLUICE_WORKER_IMAGE"] = LocalImages.Worker,
            ["REDIS_IMAGE"] = LocalImages.Redis,
            ["PROMETHEUS_IMAGE"] = LocalImages.Prometheus,
            ["SLUICE_ADMIN_KEY"] = Key,
            ["SLUICE_PORT"] = "127.0.0.1:18080",
            ["PROMETHEUS_PORT"] = "127.0.0.1:19090",
            ["DOCKER_SOCKET"] = daemon.Socket,
            ["DOCKER_GID"] = socketGroup,
            ["PWD"] = Repository.Root,
        };
        return daemon.RunAsync("/usr/bin/docker-compose", ["-p", "sluicetest", .. arguments], environment);
    }

    private async Task<string> ContainerAsync(string service) =>
        (await daemon.DockerAsync("ps", "-aq", "--filter", $"label=com.docker.compose.service={service}")).Trim();

    private async Task HealthyAsync(string service)
    {
        var container = await ContainerAsync(service);
        Task<string> StatusAsync() => daemon.DockerAsync("inspect", "-f", "{{.State.Health.Status}}", container);
        await Eventually.HoldsAsync(async () => (await StatusAsync()).Trim() == "healthy", service + " is healthy");
    }

    /// <summary>
    /// Checks that a container does not run as root, can write to its volumes only, has no capabilities, and has a
    /// limited log.
    /// </summary>
    private async Task ConfinedAsync(string service)
    {
        var info = JsonNode.Parse(await daemon.DockerAsync("inspect", await ContainerAsync(service)))![0]!;
        var host = info["HostConfig"]!;
        Assert.NotEqual("", (string?)info["Config"]!["User"]);
        Assert.DoesNotMatch("^(0|root)(:|$)", (string)info["Config"]!["User"]!);
        Assert.True((bool)host["ReadonlyRootfs"]!);
        Assert.Equal("ALL", (string?)host["CapDrop"]![0]);
        Assert.Equal("10m", (string?)host["LogConfig"]!["Config"]!["max-size"]);
        Assert.Contains("no-new-privileges", (string)host["SecurityOpt"]![0]!, StringComparison.Ordinal);
    }

    private static async Task AskAsync()
    {
        using var client = NewClient("http://127.0.0.1:18080");
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
        using var body = new StringContent(GatewayProcess.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
    }

    private static async Task ScrapedAsync()
    {
        using var client = NewClient("http://127.0.0.1:19090");
        var query = new Uri("/api/v1/query?query=sluice_requests_total", UriKind.Relative);
        await Eventually.HoldsAsync(async () =>
        {
            var result = await client.GetStringAsync(query);
            return result.Contains("\"endpoint\":\"digits\"", StringComparison.Ordinal);
        }, "Prometheus has the gateway's metrics");
    }

    private static HttpClient NewClient(string address) =>
        new() { BaseAddress = new Uri(address), Timeout = ChildProcess.Patience };
}
