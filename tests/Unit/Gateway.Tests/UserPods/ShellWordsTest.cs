using Sluice.Gateway.UserPods;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests that words are split as a shell does, and that joined words are split into the same ones.</summary>
public sealed class ShellWordsTest
{
    [Theory]
    [InlineData("", "")]
    [InlineData("  ", "")]
    [InlineData("a b", "a|b")]
    [InlineData("  a\t b\n", "a|b")]
    [InlineData("'a b' c", "a b|c")]
    [InlineData("\"a b\"c", "a bc")]
    [InlineData("a''b", "ab")]
    [InlineData("''", "")]
    [InlineData("a\\ b", "a b")]
    [InlineData("'a\\b'", "a\\b")]
    [InlineData("\"a\\\"b\"", "a\"b")]
    [InlineData("sh -c 'echo \"$HOME\"'", "sh|-c|echo \"$HOME\"")]
    [InlineData("end\\", "end\\")]
    // Inside double quotes, a backslash is kept before other characters (POSIX, 2.2.3).
    [InlineData("\"a\\nb\"", "a\\nb")]
    public void Words_are_split_as_a_shell_does(string text, string words) =>
        Assert.Equal(words, string.Join('|', ShellWords.Split(text)!));

    [Fact]
    public void A_quoted_empty_word_is_a_word() => Assert.Equal(["", "a", ""], ShellWords.Split("'' a \"\"")!);

    [Theory]
    [InlineData("'a")]
    [InlineData("a \"b c")]
    public void A_quote_that_is_not_closed_is_no_list(string text) => Assert.Null(ShellWords.Split(text));

    [Fact]
    public void Joined_words_are_split_into_the_same_words()
    {
        const string characters = "ab'\"\\ \t\n$`!*#ä";
        for (var seed = 0; seed < RandomCases.Count(5000); seed++)
        {
            var random = new Random(seed);
            string[] words =
            [
                .. Enumerable.Range(0, random.Next(6))
                    .Select(_ => new string(random.GetItems<char>(characters, random.Next(8)))),
            ];
            Assert.Equal(words, ShellWords.Split(ShellWords.Join(words))!);
        }
    }
}
