using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>
/// Pods are created, stopped, started and terminated at random while gateways and the daemon are killed. At the end,
/// each pod has the state of its last accepted action, each container and volume belongs to such a pod, and no volume
/// was lost or exchanged. <c>make pod-chaos</c> runs it with 200 pods.
/// </summary>
[Collection("docker")]
[Trait("Needs", "publish")]
public sealed class UserPodChaosTest(DockerDaemon daemon, ITestOutputHelper output) : IAsyncLifetime
{
    private const string Key = "an-admin-key-of-these-tests";

    /// <summary>The beginning of the names of containers and volumes.</summary>
    private const string Prefix = "sluice-pod-";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// The first start writes the pod's id into the volume. Each later one ends if another id is there, and counts.
    /// </summary>
    private const string Script = "[ -f /workspace/id ] || echo $SLUICE_USER_POD_ID > /workspace/id; "
        + "[ $(cat /workspace/id) = $SLUICE_USER_POD_ID ] || exit 9; echo start >> /workspace/starts; "
        + "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";

    private readonly int pods = Setting("POD_CHAOS_PODS", 8);
    private readonly int kills = Setting("POD_CHAOS_KILLS", 3);
    private readonly Random random = new(Setting("POD_CHAOS_SEED", 20261130));
    private readonly RedisFixture redis = new();
    private readonly List<string> folders = [];
    private readonly List<GatewayProcess> gateways = [];
    private readonly ConcurrentDictionary<string, string> expected = new();

    /// <summary>Pod → the file that the test wrote into its volume. A new volume does not have it.</summary>
    private readonly ConcurrentDictionary<string, string> marks = new();

    private int actions;
    private int gatewayKills;
    private int daemonKills;

    public async ValueTask InitializeAsync()
    {
        Require.Available(DockerDaemon.WhyNot);
        await redis.InitializeAsync();
        for (var i = 0; i < 2; i++)
        {
            folders.Add(Directory.CreateTempSubdirectory("sluice-pod-chaos-").FullName);
            gateways.Add(await StartAsync(folders[i]));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in gateways) await gateway.DisposeAsync();
        foreach (var folder in folders) Directory.Delete(folder, recursive: true);
        if (DockerDaemon.WhyNot is not null) return;
        var containers = await LinesAsync("ps", "-aq", "--filter", "label=sluice.userpod");
        if (containers.Count > 0) await daemon.DockerAsync(["rm", "-f", .. containers]);
        var volumes = await VolumesAsync();
        if (volumes.Count > 0) await daemon.DockerAsync(["volume", "rm", .. volumes]);
        // Docker Compose has a network of the same name with other options.
        foreach (var network in await LinesAsync("network", "ls", "-q", "--filter", "name=sluice-pods"))
        {
            // A killed daemon keeps the endpoints of containers that are gone.
            const string names = "{{range .Containers}}{{.Name}}\n{{end}}";
            foreach (var left in await LinesAsync("network", "inspect", "-f", names, network))
                await daemon.DockerAsync("network", "disconnect", "-f", network, left);
            try
            {
                await daemon.DockerAsync("network", "rm", network);
            }
            catch (InvalidOperationException)
            {
                // It also keeps endpoints that no command lists, until it starts again.
                await daemon.KillAsync();
                await daemon.StartAsync();
                await daemon.DockerAsync("network", "rm", network);
            }
        }

        await redis.DisposeAsync();
    }

    [Fact]
    public async Task Pods_have_the_state_of_their_last_action_after_kills_of_gateways_and_of_the_daemon()
    {
        var killing = KillAsync();
        var users = Enumerable.Range(0, 4).Select(n => UseAsync(n, pods / 4 + (n < pods % 4 ? 1 : 0))).ToList();
        await Task.WhenAll(users);
        await killing;
        // Each step may take its time; a controller that hangs makes no progress.
        for (var wrong = int.MaxValue; wrong > 0;)
            wrong = (await Eventually.BecomesAsync(
                FindWrongAsync, w => w.Count < wrong, "more pods have the right state")).Count;

        var kept = NamesOf(s => s != "TERMINATED");
        var running = NamesOf(s => s == "RUNNING");
        await Eventually.HoldsAsync(async () => kept.IsSupersetOf(await ContainersAsync("-a"))
            && kept.IsSupersetOf(await VolumesAsync()), "no container and no volume of a terminated pod is left");
        Assert.Equal(running.Order(), (await ContainersAsync()).Order());
        var volumes = await VolumesAsync();
        Assert.Superset(running, volumes);
        Assert.Superset(marks.Keys.Select(NameOf).Where(kept.Contains).ToHashSet(), volumes);
        foreach (var name in volumes)
        {
            var (id, path) = (name[Prefix.Length..], await PathOfAsync(name));
            var file = Path.Combine(path, "id");
            // A pod that was stopped before its program ran has an empty volume.
            if (running.Contains(name) || File.Exists(file))
                Assert.Equal($"{id}\n", await File.ReadAllTextAsync(file));
            if (marks.TryGetValue(id, out var mark)) Assert.True(File.Exists(Path.Combine(path, mark)), id);
        }

        var counts = expected.Values.CountBy(s => s).OrderBy(c => c.Key).Select(c => $"{c.Value} {c.Key}");
        output.WriteLine($"{expected.Count} pods, {actions} actions, {gatewayKills} kills of gateways, "
            + $"{daemonKills} of the daemon: {string.Join(", ", counts)}; {volumes.Count} volumes "
            + $"({marks.Keys.Count(id => volumes.Contains(NameOf(id)))} marked), {running.Count} running containers, "
            + "0 orphans");
    }

    /// <summary>A user: creates pods, and does random actions on its own ones.</summary>
    private async Task UseAsync(int number, int count)
    {
        var (own, dice) = (new List<string>(), new Random(number));
        while (own.Count < count || dice.Next(4) > 0)
        {
            if (own.Count < count && (own.Count == 0 || dice.Next(2) == 0))
            {
                own.Add(await CreateAsync(number, own.Count));
                continue;
            }

            var id = own[dice.Next(own.Count)];
            if (expected[id] == "TERMINATED") continue;
            var action = dice.Next(5) switch { 0 => "terminate", 1 or 2 => "stop", _ => "start" };
            await ActAsync(id, action);
            Interlocked.Increment(ref actions);
            if (action != "terminate") await MarkAsync(id);
        }
    }

    private async Task<string> CreateAsync(int user, int number)
    {
        var name = $"pod-{user}-{number}";
        var body = new JsonObject
        {
            ["name"] = name,
            ["image"] = LocalImages.Base,
            ["command"] = new JsonArray("/bin/sh", "-c", Script),
            ["volume"] = new JsonObject { ["path"] = "/workspace" },
            ["stopGrace"] = "2s",
        };
        while (true)
        {
            // A creation whose reply was lost is found by its name.
            if (await FindAsync(name) is { } found)
            {
                expected[found] = "RUNNING";
                return found;
            }

            // One gateway only: the next one would create another pod if just the reply was lost.
            var gateway = gateways[number % gateways.Count];
            if (await SendAsync([gateway], "/api/v1/pods", body.ToJsonString()) is not HttpStatusCode.Created)
                await Task.Delay(Pause, TimeProvider.System);
        }
    }

    /// <summary>Repeats an action until a gateway has accepted it. A repetition may find it done: 409.</summary>
    private async Task ActAsync(string id, string action)
    {
        while (await SendAsync([.. gateways], $"/api/v1/pods/{id}/{action}", null)
            is not (HttpStatusCode.OK or HttpStatusCode.Conflict or HttpStatusCode.NotFound))
            await Task.Delay(Pause, TimeProvider.System);
        expected[id] = action switch { "terminate" => "TERMINATED", "stop" => "EXITED", _ => "RUNNING" };
    }

    /// <summary>Writes a file into the volume of a pod, if it exists and the daemon runs.</summary>
    private async Task MarkAsync(string id)
    {
        if (marks.ContainsKey(id)) return;
        try
        {
            var mark = $"mark-{Guid.NewGuid():N}";
            await File.WriteAllTextAsync(Path.Combine(await PathOfAsync(NameOf(id)), mark), "");
            marks[id] = mark;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException)
        {
            // The pod has not been started yet, or the daemon was killed.
        }
    }

    private async Task KillAsync()
    {
        for (var i = 0; i < kills; i++)
        {
            var accepted = expected.Count;
            await Eventually.HoldsAsync(
                () => expected.Count > accepted || expected.Count == pods, "another pod was created");
            if (random.Next(3) == 0)
            {
                await daemon.KillAsync();
                await daemon.StartAsync();
                daemonKills++;
                continue;
            }

            var victim = random.Next(gateways.Count);
            var gateway = gateways[victim];
            gateway.Process.Signal(ChildProcess.Sigkill);
            await gateway.Process.ExitAsync();
            gateways[victim] = await StartAsync(folders[victim]);
            await gateway.DisposeAsync();
            gatewayKills++;
        }
    }

    /// <summary>Returns the status of the first response of these gateways; null: none responded.</summary>
    private static async Task<HttpStatusCode?> SendAsync(
        IReadOnlyList<GatewayProcess> some, string path, string? body)
    {
        foreach (var gateway in some)
        {
            try
            {
                using var content = body is null ? null : new StringContent(body);
                using var response = await gateway.Client.PostAsync(path, content);
                if (response.StatusCode < HttpStatusCode.InternalServerError) return response.StatusCode;
            }
            catch (Exception e) when (IsKilled(e))
            {
                // The next one is asked.
            }
        }

        return null;
    }

    private static bool IsKilled(Exception e) =>
        e is HttpRequestException or IOException or ObjectDisposedException or OperationCanceledException;

    private async Task<JsonArray?> ListAsync()
    {
        foreach (var gateway in gateways.ToArray())
        {
            try
            {
                return (await gateway.Client.GetFromJsonAsync<JsonObject>("/api/v1/pods"))!["pods"]!.AsArray();
            }
            catch (Exception e) when (IsKilled(e))
            {
                // The next one is asked.
            }
        }

        return null;
    }

    private async Task<string?> FindAsync(string name) => (string?)(await ListAsync())
        ?.FirstOrDefault(p => (string?)p!["spec"]!["name"] == name)?["id"];

    /// <summary>Finds the pods that do not have the state of their last action; terminated ones are not listed.
    /// </summary>
    private async Task<(int Count, string First)> FindWrongAsync()
    {
        if (await ListAsync() is not { } all) return (int.MaxValue, "no gateway responds");
        var found = all.ToDictionary(p => (string)p!["id"]!, p => p!);
        var wrong = expected.Where(e => StatusOf(e.Key) != e.Value)
            .Select(e => $"{e.Key}: {found.GetValueOrDefault(e.Key)?.ToJsonString()}; expected {e.Value}")
            .Concat(found.Keys.Where(id => !expected.ContainsKey(id)).Select(id => $"{id}: expected nothing")).ToList();
        return (wrong.Count, wrong.FirstOrDefault() ?? "");

        string StatusOf(string id) => found.TryGetValue(id, out var pod) ? (string)pod["status"]! : "TERMINATED";
    }

    private HashSet<string> NamesOf(Func<string, bool> status) =>
        [.. expected.Where(e => status(e.Value)).Select(e => NameOf(e.Key))];

    private static string NameOf(string id) => Prefix + id;

    private async Task<HashSet<string>> ContainersAsync(params string[] more) =>
        [.. await LinesAsync(["ps", "--format", "{{.Names}}", "--filter", "label=sluice.userpod", .. more])];

    private async Task<HashSet<string>> VolumesAsync() =>
        [.. await LinesAsync("volume", "ls", "-q", "--filter", "name=" + Prefix)];

    private async Task<string> PathOfAsync(string volume) =>
        (await daemon.DockerAsync("volume", "inspect", "-f", "{{.Mountpoint}}", volume)).Trim();

    private async Task<IReadOnlyList<string>> LinesAsync(params string[] arguments) =>
        (await daemon.DockerAsync(arguments)).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private Task<GatewayProcess> StartAsync(string folder) => GatewayProcess.StartAsync(
        "templates: []\nendpoints: []\n",
        folder,
        new Dictionary<string, string?>
        {
            ["SLUICE_ADMIN_KEY"] = Key,
            ["SLUICE_REDIS"] = redis.ConnectionString,
            ["SLUICE_PAYLOADS"] = Path.Combine(folders[0], "payloads"),
            ["SLUICE_POD_HOST"] = "docker",
            ["SLUICE_DOCKER_HOST"] = daemon.Address.OriginalString,
            ["SLUICE_DOCKER_IMAGE"] = LocalImages.Worker,
        });

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var n) ? n : otherwise;
}
