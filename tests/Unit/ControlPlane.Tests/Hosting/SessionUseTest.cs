using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Tests.Hosting;

/// <summary>Tests what is read of proc(5).</summary>
public sealed class SessionUseTest
{
    [Fact]
    public void The_times_of_a_process_and_of_its_children_are_added()
    {
        const string stat = "4242 (a) b (c) S 1 4240 4241 0 -1 4194560 9 9 0 0 150 50 20 5 20 0 7 0 99 123456 300 1 2";
        Assert.True(SessionUse.TryParse(stat, out var session, out var use));
        Assert.Equal((4241, TimeSpan.FromSeconds(2.25), 300L * Environment.SystemPageSize),
            (session, use.CpuTime, use.Memory));
        var both = use + new SessionUse(TimeSpan.FromSeconds(1), 5);
        Assert.Equal((TimeSpan.FromSeconds(3.25), use.Memory + 5), (both.CpuTime, both.Memory));
    }

    [Fact]
    public void An_incomplete_text_is_ignored() =>
        Assert.False(SessionUse.TryParse("4242 (a) S 1 4240 4241", out _, out _));

    [Fact]
    public void Only_sessions_that_exist_have_a_use()
    {
        Assert.Empty(SessionUse.Read(new HashSet<int>()));
        Assert.Empty(SessionUse.Read(new HashSet<int> { int.MaxValue }));
    }
}
