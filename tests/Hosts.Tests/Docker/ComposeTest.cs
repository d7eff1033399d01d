using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>docker-compose.yml, as it stands, on images of this machine.</summary>
[Collection("docker")]
[RunsWhere(typeof(ComposeTest))]
public sealed class ComposeTest(DockerDaemon daemon)
{
    private static readonly string[] Alone = ["-f", "docker-compose.yml"];
    private static readonly string[] WithPods = ["-f", "docker-compose.yml", "-f", "deploy/docker-compose.pods.yml"];

    private string socketGroup = "";

    private const string Key = "an-admin-key-of-these-tests";

    public static string? WhyNot => DockerDaemon.WhyNot ?? (File.Exists("/usr/bin/docker-compose") ? File.Exists("/usr/bin/prometheus") ? null
        : "prometheus is not installed (Debian: prometheus)" : "docker-compose is not installed (Debian: docker-compose)");

    [FactWhereItRuns]
    public async Task One_command_brings_up_gateway_redis_and_prometheus_healthy_and_with_the_pods_file_workers_are_containers_too()
    {
        await ImagesAsync();
        await ComposeAsync(async () =>
        {
            await UpAsync(Alone);
            foreach (var service in new[] { "redis", "prometheus", "gateway" }) await HealthyAsync(service);
            await AskAsync();
            await ScrapedAsync();
            var redis = await daemon.DockerAsync("exec", await ContainerAsync("redis"), "redis-cli", "config", "get", "maxmemory-policy");
            Assert.Contains("noeviction", redis, StringComparison.Ordinal);
            var log = await daemon.DockerAsync("exec", await ContainerAsync("redis"), "redis-cli", "config", "get", "appendonly");
            Assert.Contains("yes", log, StringComparison.Ordinal);
            foreach (var service in new[] { "redis", "prometheus", "gateway" }) await ConfinedAsync(service);

            var secrets = await daemon.DockerAsync("exec", await ContainerAsync("gateway"), "/bin/sh", "-c", "cat /proc/1/environ 2>&1; cat /proc/1/comm");
            Assert.Contains("Permission denied", secrets, StringComparison.Ordinal);
            Assert.Contains("Sluice.Gateway", secrets, StringComparison.Ordinal);

            await UpAsync(WithPods);
            await HealthyAsync("gateway");
            await AskAsync();
            var worker = (await daemon.DockerAsync("ps", "-q", "--filter", "label=sluice.endpoint=digits")).Split('\n')[0];
            Assert.NotEqual("", worker);
            Assert.Contains("sluice-pods", await daemon.DockerAsync("inspect", "-f", "{{json .NetworkSettings.Networks}}", worker), StringComparison.Ordinal);
        });
        // Told to stop, the gateway takes its workers along.
        Assert.Equal("", await daemon.DockerAsync("ps", "-aq"));
    }

    [FactWhereItRuns]
    public async Task The_gpu_image_is_made_by_the_same_steps_on_whatever_base_it_is_given()
    {
        await daemon.DockerAsync("build", "-q", "-f", "deploy/worker-gpu.Dockerfile", "--build-arg", $"BASE={LocalImages.Base}",
            "--build-arg", $"DOTNET={LocalImages.Base}", "--build-arg", "APP=prebuilt",
            "--build-arg", "PUBLISHED=.build/run/worker", "-t", "sluice-worker-gpu:local", ".");
        var said = await daemon.DockerAsync("run", "--rm", "--entrypoint", "/bin/sh", "sluice-worker-gpu:local", "-c",
            "/worker/Sluice.Worker doctor; true");
        Assert.Contains("cuda", said, StringComparison.OrdinalIgnoreCase);
    }

    private async Task ImagesAsync()
    {
        socketGroup = (await daemon.RunAsync("stat", ["-c", "%g", daemon.Socket])).Trim();
        var folder = Directory.CreateTempSubdirectory("sluice-images-").FullName;
        await LocalImages.BuildAsync(daemon, "gateway", LocalImages.Gateway);
        await LocalImages.ImportAsync(daemon, folder, LocalImages.Redis, ["ENV PATH=/bin"], ["/usr/bin/redis-server", "/usr/bin/redis-cli"]);
        await LocalImages.ImportAsync(daemon, folder, LocalImages.Prometheus, ["ENV PATH=/bin", "ENTRYPOINT [\"/bin/prometheus\"]"], ["/usr/bin/prometheus"]);
        Directory.Delete(folder, recursive: true);
    }

    private Task<string> UpAsync(string[] files) => RunAsync([.. files, "up", "-d", "--no-build"]);

    /// <summary>Looks at what is brought up; all of it is taken down afterwards.</summary>
    private async Task ComposeAsync(Func<Task> look)
    {
        try
        {
            await look();
        }
        catch (Exception e) when (e is not InvalidOperationException)
        {
            throw new InvalidOperationException(e.Message + "\n" + await RunAsync([.. WithPods, "logs", "--no-color", "--tail=40"]), e);
        }
        finally
        {
            await RunAsync([.. WithPods, "down", "-v", "-t", "120"]);
        }
    }

    private Task<string> RunAsync(string[] arguments) => daemon.RunAsync("/usr/bin/docker-compose", ["-p", "sluicetest", .. arguments], new Dictionary<string, string?>
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
    });

    private async Task<string> ContainerAsync(string service) =>
        (await daemon.DockerAsync("ps", "-aq", "--filter", $"label=com.docker.compose.service={service}")).Trim();

    private async Task HealthyAsync(string service)
    {
        var container = await ContainerAsync(service);
        Task<string> StatusAsync() => daemon.DockerAsync("inspect", "-f", "{{.State.Health.Status}}", container);
        await Eventually.HoldsAsync(async () => (await StatusAsync()).Trim() == "healthy", service + " is healthy");
    }

    /// <summary>Not root, nothing to write but its volumes, no capabilities, a log that ends.</summary>
    private async Task ConfinedAsync(string service)
    {
        var told = JsonNode.Parse(await daemon.DockerAsync("inspect", await ContainerAsync(service)))![0]!;
        Assert.NotEqual("", (string?)told["Config"]!["User"]);
        Assert.DoesNotMatch("^(0|root)(:|$)", (string)told["Config"]!["User"]!);
        Assert.True((bool)told["HostConfig"]!["ReadonlyRootfs"]!);
        Assert.Equal("ALL", (string?)told["HostConfig"]!["CapDrop"]![0]);
        Assert.Equal("10m", (string?)told["HostConfig"]!["LogConfig"]!["Config"]!["max-size"]);
        Assert.Contains("no-new-privileges", (string)told["HostConfig"]!["SecurityOpt"]![0]!, StringComparison.Ordinal);
    }

    private static async Task AskAsync()
    {
        using var client = new HttpClient { BaseAddress = new Uri("http://127.0.0.1:18080"), Timeout = ChildProcess.Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
        using var body = new StringContent(GatewayProcess.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
    }

    private static async Task ScrapedAsync()
    {
        using var client = new HttpClient { BaseAddress = new Uri("http://127.0.0.1:19090"), Timeout = ChildProcess.Patience };
        await Eventually.HoldsAsync(async () => (await client.GetStringAsync(new Uri("/api/v1/query?query=sluice_requests_total", UriKind.Relative)))
            .Contains("\"endpoint\":\"digits\"", StringComparison.Ordinal), "Prometheus has the gateway's metrics");
    }
}
