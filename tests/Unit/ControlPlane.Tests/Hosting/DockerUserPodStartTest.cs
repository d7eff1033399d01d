using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.Docker;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>
/// A daemon that was killed while it started a container cannot start it again: containerd runs its id already.
/// </summary>
public sealed class DockerUserPodStartTest
{
    [Fact]
    public async Task A_container_whose_id_is_in_use_is_replaced()
    {
        using var daemon = new HttpListener();
        var address = $"http://127.0.0.1:{FreePort.Find()}/";
        daemon.Prefixes.Add(address);
        daemon.Start();
        var calls = new ConcurrentQueue<string>();
        _ = AnswerAsync(daemon, calls);
        using var host = new DockerUserPodHost(new DockerSettings
        {
            Daemon = new Uri(address), WorkerImage = "w", WorkerGpuImage = "w", Models = "/models", PodNetwork = "own",
        }, new HostId("h"), new ManualTime(), NullLogger<DockerUserPodHost>.Instance);
        var pod = new UserPod
        {
            Id = "p", Owner = "o", Secret = "s", CreatedAt = DateTimeOffset.UnixEpoch,
            Spec = new UserPodSpec
            {
                Name = "n", Image = "i:1",
                Container = UserPodSpec.DefaultContainer with { Pull = PullPolicy.Never },
            },
        };

        await host.StartAsync(new UserPodStart(pod, new UserPodState(), "installation"), _ => { }, default);

        Assert.Equal(["create", "start 1", "delete", "create", "start 2"], calls);
    }

    /// <summary>A daemon that refuses the first start.</summary>
    private static async Task AnswerAsync(HttpListener daemon, ConcurrentQueue<string> calls)
    {
        var starts = 0;
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await daemon.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            var (method, path) = (context.Request.HttpMethod, context.Request.Url!.AbsolutePath);
            var call = method == "DELETE" ? "delete" : path.EndsWith("/create", StringComparison.Ordinal) ? "create"
                : path.EndsWith("/start", StringComparison.Ordinal) ? $"start {++starts}" : "";
            if (call.Length > 0) calls.Enqueue(call);
            var (status, body) = call switch
            {
                "start 1" => (500, """{"message":"id already in use"}"""),
                "create" => (201, """{"Id":"c"}"""),
                "" => (200, """{"Id":"i"}"""),
                _ => (204, ""),
            };
            context.Response.StatusCode = status;
            if (path == "/_ping") context.Response.Headers["Api-Version"] = "1.41";
            context.Response.Close(Encoding.UTF8.GetBytes(body), willBlock: false);
        }
    }
}
