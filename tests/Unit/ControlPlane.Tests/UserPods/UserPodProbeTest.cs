using System.Net;
using System.Text;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.UserPods;

/// <summary>Programs that report wrong times of activity.</summary>
public sealed class UserPodProbeTest : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

    private readonly int port = FreePort.Find();
    private readonly HttpListener listener = new();
    private string answer = "";

    public UserPodProbeTest()
    {
        listener.Prefixes.Add($"http://127.0.0.1:{port}/");
        listener.Start();
        _ = AnswerAsync();
    }

    public void Dispose() => listener.Close();

    [Theory]
    [InlineData(PodApplication.Jupyter, """[{"execution_state":"idle","last_activity":"9999-12-31T23:59:59Z"}]""", 0)]
    [InlineData(PodApplication.Jupyter, """[{"execution_state":"idle","last_activity":"2026-11-30T11:59:00Z"}]""", 60)]
    [InlineData(PodApplication.Jupyter, """[{"execution_state":"busy","last_activity":"2026-11-30T11:00:00Z"}]""", 0)]
    [InlineData(PodApplication.Jupyter, """[{"execution_state":7,"last_activity":"yesterday"}]""", null)]
    [InlineData(PodApplication.Jupyter, "<html>", null)]
    [InlineData(PodApplication.CodeServer, """{"lastHeartbeat":253402300799998}""", 0)]
    [InlineData(PodApplication.CodeServer, """{"lastHeartbeat":-1}""", null)]
    [InlineData(PodApplication.CodeServer, """{"lastHeartbeat":"now"}""", null)]
    public async Task No_reported_activity_is_in_the_future(PodApplication application, string text, int? secondsAgo)
    {
        answer = text;
        using var probe = new UserPodProbe(new ManualTime(Now));
        var pod = new UserPod
        {
            Id = "abcdefghijklmn",
            Owner = "key",
            CreatedAt = Now,
            Spec = new UserPodSpec { Name = "n", Application = application, Ports = ["8888/http"] },
        };
        var state = new UserPodState { Addresses = [new UserPodAddress(8888, "127.0.0.1", port)] };
        var at = await probe.ReadActivityAsync(pod, state, "/", TestContext.Current.CancellationToken);
        Assert.Equal(secondsAgo is { } ago ? Now.AddSeconds(-ago) : null, at);
    }

    private async Task AnswerAsync()
    {
        try
        {
            while (true)
            {
                var context = await listener.GetContextAsync();
                var isTerminals = context.Request.Url!.AbsolutePath.EndsWith("terminals", StringComparison.Ordinal);
                await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(isTerminals ? "[]" : answer));
                context.Response.Close();
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // The test has ended.
        }
    }
}
