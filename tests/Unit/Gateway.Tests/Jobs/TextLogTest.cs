using System.Text;
using Sluice.Gateway.Jobs;

namespace Sluice.Gateway.Tests.Jobs;

/// <summary>Tests what the log of a streamed text says about its continuation.</summary>
public sealed class TextLogTest
{
    [Fact]
    public void A_log_has_the_marks_of_all_entries()
    {
        var log = TextLog.Empty.With([TextLog.Head("a/b\u00e9"), Entry("0 1 ", """{"choices":[]}""")])
            .With([Entry("2 ", """{"choices":[]}"""), Entry("", """{"usage":{}}""")]);
        Assert.Equal((4, "a/b\u00e9", "0 1 2 "), (log.Entries, log.Announced, Encoding.ASCII.GetString(log.Marks)));
        Assert.Equal((true, true, false), (log.HasText, log.CanContinue, log.IsEnded));
        Assert.True(log.With([TextLog.End]).IsEnded);
    }

    [Fact]
    public void A_text_without_marks_cannot_be_continued()
    {
        var log = TextLog.Empty.With([TextLog.Entry(null, ["{}"u8.ToArray()])]);
        Assert.Equal((true, false), (log.HasText, log.CanContinue));
        var mixed = TextLog.Empty.With([TextLog.Head("a"), Entry("0 ", "{}"), TextLog.Entry(null, ["{}"u8.ToArray()])]);
        Assert.False(mixed.CanContinue);
    }

    [Fact]
    public void An_attempt_that_streamed_nothing_is_forgotten()
    {
        var log = TextLog.Empty.With([TextLog.Head("a")]);
        Assert.Equal((false, true), (log.HasText, log.CanContinue));
        Assert.Equal("b", log.With([TextLog.Head("b"), Entry("0 ", "{}")]).Announced);
    }

    [Fact]
    public void An_entry_has_only_the_fields_that_readers_need()
    {
        Assert.Equal("""{"marks":"0 ","chunks":[{"choices":[{"a":"\ud83d"}]},{"usage":{"n":1}},{"error":"x"}]}""",
            Encoding.UTF8.GetString(Entry("0 ", """{"id":"i","choices":[{"a":"\ud83d"}],"usage":null}""",
                """{"created":1,"usage":{"n":1}}""", """{"error":"x"}""")));
        Assert.Throws<InvalidDataException>(() => Entry("", "[1]"));
        Assert.Throws<InvalidDataException>(() => Entry("", "no"));
    }

    private static byte[] Entry(string marks, params string[] chunks) =>
        TextLog.Entry(Encoding.ASCII.GetBytes(marks), chunks.Select(Encoding.UTF8.GetBytes));
}
