using Sluice.ControlPlane.Pods;

namespace Sluice.ControlPlane.Tests.Pods;

/// <summary>Tests which lines of a worker are stored.</summary>
public sealed class WorkerLogTest
{
    private static readonly DateTimeOffset Now = new(2026, 11, 30, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_worker_that_writes_in_a_loop_gets_its_rate_and_a_line_says_what_is_missing()
    {
        var log = new WorkerLog("e", "w", null);
        for (var i = 0; i < WorkerLog.Burst + 70; i++) Assert.Equal(i < WorkerLog.Burst, log.Add($"{i}", Now));
        var first = log.Peek([]);
        Assert.Equal((WorkerLog.Burst, "0"), (first.Count, first[0].Text));
        log.Remove(first.Count);

        for (var i = 0; i < 2 * WorkerLog.Rate; i++) log.Add("later", Now.AddSeconds(1));
        var second = log.Peek([]);
        Assert.Equal("(70 lines were not stored: the worker wrote too fast)", second[0].Text);
        Assert.Equal(WorkerLog.Rate + 1, second.Count);
        log.Remove(second.Count);
        log.Add("last", Now.AddSeconds(3));
        Assert.Equal([$"({WorkerLog.Rate} lines were not stored: the worker wrote too fast)", "last"],
            log.Peek([]).Select(l => l.Text));
    }

    [Fact]
    public void A_line_of_the_gateway_is_stored_however_fast_the_worker_wrote()
    {
        var log = new WorkerLog("e", "w", null);
        for (var i = 0; i < WorkerLog.Burst + 2; i++) log.Add($"{i}", Now);
        log.AddSystem("Failed: exit code 3", Now);
        Assert.Equal(
            [
                new(Now, "(2 lines were not stored: the worker wrote too fast)", true),
                new(Now, "Failed: exit code 3", true),
            ],
            log.Peek([]).Skip(WorkerLog.Burst));
    }

    [Fact]
    public void A_line_of_the_gateway_is_printable_and_has_a_limit()
    {
        var log = new WorkerLog("e", "w", null);
        log.AddSystem("Failed: \u001b[2J\n" + new string('x', 10_000), Now);
        var text = Assert.Single(log.Peek([])).Text;
        Assert.DoesNotContain(text, char.IsControl);
        // Escaped characters and the dots at the end are not counted.
        Assert.InRange(text.Length, 1900, WorkerLog.MaxReason + 20);
    }

    [Fact]
    public void Lines_wait_until_they_are_removed_and_no_more_than_a_burst_of_them()
    {
        var log = new WorkerLog("e", "w", null);
        log.Add("a", Now);
        Assert.Equal(["a"], log.Peek([]).Select(l => l.Text));
        log.Add("b", Now.AddSeconds(1));
        Assert.Equal([new(Now, "a"), new(Now.AddSeconds(1), "b")], log.Peek([]));
        log.Remove(1);
        Assert.Equal(["b"], log.Peek([]).Select(l => l.Text));
        for (var i = 0; i < 3 * WorkerLog.Burst; i++) log.Add("c", Now.AddHours(i));
        Assert.Equal(WorkerLog.Burst, log.Peek([]).Count);
    }

    [Theory]
    [InlineData("a b c", "b c d e", "d e")]
    [InlineData("a b c", "a b c", "")]
    [InlineData("a b c", "d e", "d e")]
    [InlineData("", "a", "a")]
    [InlineData("x x x", "x x y", "y")]
    [InlineData("a b", "b", "")]
    public void The_lines_that_the_host_of_an_adopted_worker_repeats_are_stored_once(
        string stored, string repeated, string expected)
    {
        var log = new WorkerLog("e", "w", Now);
        foreach (var line in Lines(repeated)) log.Add(line, Now);
        Assert.Equal(Lines(expected), log.Peek(Lines(stored)).Select(l => l.Text));
        log.Remove(10);
        // Later lines are not compared.
        log.Add("b", Now);
        Assert.Equal(["b"], log.Peek(Lines("b")).Select(l => l.Text));
    }

    private static string[] Lines(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
