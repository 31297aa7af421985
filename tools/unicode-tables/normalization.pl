# Prints what Perl's Unicode (14.0 in 5.36) says of normalization and case folding, for make-tables.mjs.
use strict;
use warnings;
use Unicode::UCD qw(charinfo casefold);

for my $code (0 .. 0x10FFFF) {
    next if ($code >= 0xD800 && $code <= 0xDFFF) || ($code >= 0xAC00 && $code <= 0xD7A3);
    next unless chr($code) =~ /\p{Assigned}/;
    my $fold = chr($code) =~ /\p{Changes_When_Casefolded}/ ? casefold($code) : undef;
    printf("fold %X %s\n", $code, $fold->{simple} || $fold->{full}) if $fold && ($fold->{simple} || $fold->{full} !~ / /);
    printf("multifold %X %s\n", $code, $fold->{full}) if $fold && $fold->{full} =~ / /;
    next unless chr($code) =~ /\p{Decomposition_Type=NonCanon}|\p{Decomposition_Type=Canonical}|\P{Canonical_Combining_Class=0}/;
    my $info = charinfo($code);
    printf("combining %X %d\n", $code, $info->{combining}) if $info->{combining};
    next unless $info->{decomposition};
    my ($tag, $mapping) = $info->{decomposition} =~ /^(?:(<\w+>) )?(.*)$/;
    my $kind = $tag ? 'compatible' : chr($code) =~ /\p{Full_Composition_Exclusion}/ ? 'decomposed' : 'composed';
    printf("%s %X %s\n", $kind, $code, $mapping);
}
